// The head of the page: what came of it, what exactly it ran against, and how the trials stand.
(function (P) {
  'use strict';
  const { el } = P;

  // --- light and dark ----------------------------------------------------------------------------
  const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };
  let chosen = 'auto';
  const system = window.matchMedia ? matchMedia('(prefers-color-scheme: dark)') : null;
  P.repaint = [];
  function paint(theme) {
    const resolved = theme === 'auto' ? (system && system.matches ? 'dark' : 'light') : theme;
    document.documentElement.setAttribute('data-theme', resolved);
    P.repaint.forEach((act) => act());
  }
  P.theme = function (wanted) {
    if (NEXT[wanted]) chosen = wanted;
    else {
      try { chosen = NEXT[localStorage.getItem('keydb-harness-theme')] ? localStorage.getItem('keydb-harness-theme') : 'auto'; } catch (error) { chosen = 'auto'; }
    }
    paint(chosen);
  };
  function toggle() {
    const button = el('button', { type: 'button', class: 'no-print', title: 'Colours of the page: as the system has it, light, or dark' });
    const say = () => { button.textContent = 'Colours: ' + chosen; };
    button.addEventListener('click', () => {
      chosen = NEXT[chosen];
      try { localStorage.setItem('keydb-harness-theme', chosen); } catch (error) { /* kept for this view alone */ }
      P.state.theme = '';
      P.toHash();
      paint(chosen);
      say();
    });
    say();
    return button;
  }
  if (system && system.addEventListener) system.addEventListener('change', () => paint(chosen));
  window.addEventListener('beforeprint', () => {
    paint('light');
    const ran = document.querySelector('.ran');
    if (ran) ran.open = true;
  });
  window.addEventListener('afterprint', () => paint(chosen));

  // --- what it ran against -----------------------------------------------------------------------
  const fact = (name, ...value) => el('div', {}, el('dt', {}, name), el('dd', {}, ...value));
  const word = (text, instead) => (text ? String(text) : el('span', { class: 'muted' }, instead || 'not known'));
  P.identity = function (identity) {
    if (!identity) return [fact('Ran against', word(''))];
    const keydb = identity.keydb || {};
    const proxy = identity.haproxy || {};
    const facts = [fact('Testbed', word(identity.testbed))];
    if (keydb.model) facts.push(fact('Servers', 'model of harness ' + keydb.model + ', not KeyDB'));
    facts.push(
      fact('KeyDB', word(keydb.version), keydb.spec ? el('span', { class: 'muted' }, ' (' + keydb.spec + ')') : ''),
      fact('Git sha1', keydb.git_sha1 ? el('code', {}, keydb.git_sha1) : word('')),
      fact('Build id', keydb.build_id ? el('code', {}, keydb.build_id) : word('')),
      fact('SHA-256 of the binary', keydb.sha256 ? P.copyable(keydb.sha256, keydb.sha256.slice(0, 12) + '\u2026') : word('', 'none')),
      fact('HAProxy', word(proxy.version), proxy.spec ? el('span', { class: 'muted' }, ' (' + proxy.spec + ')') : ''));
    return facts;
  };

  function tally(trials, of) {
    const counts = new Map();
    for (const trial of trials) counts.set(of(trial), (counts.get(of(trial)) || 0) + 1);
    return counts;
  }

  function ofResults(results) {
    const trials = P.list(results.trials);
    const counts = tally(trials, (it) => it.standing);
    const of = (standing) => counts.get(standing) || 0;
    const environment = trials.filter((it) => it.environment).length;
    const parts = [];
    if (of('regression')) parts.push(P.plural(of('regression'), 'regression'));
    if (of('new')) parts.push(P.plural(of('new'), 'new break'));
    const unsure = of('inconclusive') - environment;
    if (environment) parts.push(P.plural(environment, 'trial') + ' could not be made on this machine');
    if (unsure > 0) parts.push(P.plural(unsure, 'trial') + ' inconclusive');
    if (of('fixed')) parts.push(P.plural(of('fixed'), 'known deviation') + (of('fixed') === 1 ? ' is gone' : ' are gone'));
    const [tone, sign, head] = {
      0: ['holds', '\u2713', 'Green'], 1: ['broken', '\u2715', 'Red'],
      2: ['unsure', '?', 'Inconclusive'], 3: ['unsure', '?', 'Not made'],
    }[results.exit_code] || ['plain', '?', 'Exit code ' + results.exit_code];
    const rest = parts.length ? parts.join(', ') : trials.length ? 'everything is as expected' : 'no trial was made';
    const identity = results.identity || {};
    const keydb = identity.keydb || {};
    const expected = results.expectations
      ? 'Judged by the expectations for ' + results.expectations + '.'
      : 'Judged by the promises alone, without expectations of a version.';
    return {
      tone, sign, head, rest,
      below: (keydb.model ? 'The model' : 'KeyDB ' + (keydb.version || 'of unknown version')) + (identity.testbed ? ' on the ' + identity.testbed + ' testbed' : '') + ', ' + P.plural(trials.length, 'trial') + ' in ' + P.seconds(results.seconds) + '. ' + expected,
      counts,
      facts: [
        ...P.identity(results.identity),
        fact('Seed', results.seed === undefined ? word('') : P.copyable(String(results.seed), String(results.seed))),
        fact('Ended', P.date(results.date)),
        fact('Duration', P.seconds(results.seconds)),
        fact('Exit code', String(results.exit_code), el('span', { class: 'muted' }, ': ' + (P.EXITS[results.exit_code] || 'not known'))),
        fact('Harness', word(results.harness)),
      ],
    };
  }

  function ofUpgrade(answer) {
    const ruling = P.ruling(answer.ruling);
    const release = (it) => (it && it.keydb ? (it.keydb.model ? 'model' : it.keydb.version) : 'unknown');
    const weighs = P.list(answer.reasons).filter((it) => it.ruling === answer.ruling).length;
    return {
      tone: ruling.tone, sign: ruling.sign, head: ruling.word[0].toUpperCase() + ruling.word.slice(1),
      rest: 'upgrade from KeyDB ' + release(answer.from) + ' to ' + release(answer.to),
      below: ruling.says + ' ' + (weighs ? P.plural(weighs, 'reason') + (weighs === 1 ? ' says so' : ' say so') + '; ' : '') +
        (P.list(answer.reasons).length ? P.plural(P.list(answer.reasons).length, 'reason') + ' in all.' : 'Nothing speaks against it.') + (P.list(answer.skipped).length ? ' Not looked at: ' + answer.skipped.join(', ') + '.' : ''),
      counts: new Map(),
      facts: [
        fact('From', 'KeyDB ' + release(answer.from)), fact('To', 'KeyDB ' + release(answer.to)),
        fact('Testbed', word(answer.to && answer.to.testbed)),
        fact('Seed', answer.seed === undefined ? word('') : P.copyable(String(answer.seed), String(answer.seed))),
        fact('Ended', P.date(answer.date)), fact('Duration', P.seconds(answer.seconds)),
        fact('Exit code', { 'unsafe': '1', 'inconclusive': '2' }[answer.ruling] || '0',
          el('span', { class: 'muted' }, answer.ruling === 'safe-with-changes' ? ' (1 under --strict)' : '')),
        fact('Harness', word(answer.harness)),
      ],
    };
  }

  P.overview = function (data) {
    const top = document.getElementById('top');
    const it = data.upgrade ? ofUpgrade(data.upgrade) : data.results ? ofResults(data.results) : null;
    P.add(top, [el('div', { class: 'top-line' }, el('span', { class: 'name' }, 'keydb-harness'), toggle())]);
    if (!it) {
      P.add(top, [el('p', { class: 'empty' }, 'There are no results and no upgrade answer in this report.')]);
      return;
    }
    P.add(top, [
      el('div', { class: 'verdict tone-' + it.tone },
        el('span', { class: 'sign', 'aria-hidden': 'true' }, it.sign),
        el('div', {}, el('h1', {}, el('em', {}, it.head), ': ' + it.rest), el('p', {}, it.below))),
      el('details', { class: 'fold ran', open: P.state.view !== 'timeline' }, el('summary', {}, 'What it ran against'), el('dl', { class: 'facts' }, it.facts)),
    ]);
    const present = Object.keys(P.STANDINGS).filter((key) => it.counts.get(key));
    for (const key of it.counts.keys()) if (!P.STANDINGS[key]) present.push(key);
    if (!present.length) return;
    P.add(top, [
      el('div', { class: 'bar', 'aria-hidden': 'true' }, present.map((key) =>
        el('i', { class: 'tone-' + P.standing(key).tone, style: { flex: it.counts.get(key) + ' 0 0' }, title: it.counts.get(key) + ' ' + P.standing(key).word }))),
      el('div', { class: 'counts' }, present.map((key) => {
        const standing = P.standing(key);
        return el('button', {
          type: 'button', class: 'chip tone-' + standing.tone, title: standing.says + ': show these trials',
          on: { click: () => { P.state.standing = new Set([key]); P.state.verdict.clear(); P.state.q = ''; P.go('trials'); } },
        }, el('b', {}, standing.sign), standing.word, el('span', { class: 'n' }, it.counts.get(key)));
      })),
    ]);
  };

  P.foot = function (data) {
    P.add(document.getElementById('foot'), [
      'Report of keydb-harness ' + (data.harness || '') + ', format ' + (data.format || '?') + '. Keys: ',
      el('code', {}, '/'), ' search, ', el('code', {}, 'Esc'), ' leave it; in a timeline ',
      el('code', {}, '+ \u2212 0'), ' zoom, arrows pan and choose a lane, ', el('code', {}, ', .'), ' move the cursor, ', el('code', {}, 'n p'), ' next and previous marked operation.',
    ]);
  };
})(window.Page = window.Page || {});
