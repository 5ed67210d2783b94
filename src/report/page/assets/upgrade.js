// May one move from this release to that one? The ruling's reasons, and everything they follow from.
(function (P) {
  'use strict';
  const { el } = P;
  const DIRECTIONS = {
    worse: { word: 'worse', tone: 'broken', sign: '\u2715' },
    undecided: { word: 'undecided', tone: 'unsure', sign: '?' },
    better: { word: 'better', tone: 'accent', sign: '\u2191' },
  };
  const WAYS = { 'replicas-first': 'replicas first', 'primaries-first': 'primaries first', 'and-back': 'replicas first, and back' };
  const REPLAYS = 5;
  let data, answer, changes;

  const section = (title, n, ...contents) => el('section', {}, el('h2', {}, title, n === null ? null : el('span', { class: 'muted', style: { 'font-weight': '400' } }, ' ' + n)), contents);
  const nothing = (text) => el('p', { class: 'empty' }, text);
  // Why a side says nothing: it was not to be looked at, or could not be.
  const absent = (part, otherwise) => {
    const why = (answer.failed || {})[part];
    if (why) return el('p', { class: 'empty' }, P.tag('? could not be looked at', 'unsure'), ' ' + why);
    return nothing(P.list(answer.skipped).includes(part) ? 'This side was not to be looked at: the ruling says nothing of it.' : otherwise);
  };
  const table = (heads, rows) => el('div', { class: 'scroll' }, el('table', { class: 'table', style: { width: '100%' } }, el('thead', {}, el('tr', {}, heads.map((it) => el('th', { scope: 'col' }, it)))), el('tbody', {}, rows)));

  function reasons() {
    const all = P.list(answer.reasons);
    return section('Why', all.length, all.length ? el('div', { class: 'rows' }, all.map((it) => {
      const ruling = P.ruling(it.ruling);
      return el('div', { class: 'reason' }, el('div', {}, P.tag(ruling.sign + ' ' + ruling.word, ruling.tone)),
        el('div', {}, P.long(it.says, {}), it.mend ? el('p', { class: 'mend' }, el('b', {}, 'What to do: '), it.mend) : null,
          it.id ? [el('p', {}, P.tag(it.id, 'known', 'id'), ' a known defect'), P.explained(it.id)] : null));
    })) : nothing('Nothing speaks against it.'));
  }
  function identities() {
    return el('div', { class: 'pair', style: { 'margin-top': '4px' } }, [['Old release', answer.from], ['New release', answer.to]].map(([title, it]) =>
      el('section', { class: 'card' }, el('h3', {}, title), el('dl', { class: 'facts' }, P.identity(it)))));
  }

  // --- the catalogue on both ---------------------------------------------------------------------
  const tally = (pair) => {
    const [here, shipped] = P.list(pair);
    if (!here) return '';
    return [el('b', {}, here.broken + ' of ' + here.n), shipped && shipped.n ? el('span', { class: 'muted' }, ' + ' + shipped.broken + ' of ' + shipped.n + ' shipped') : null];
  };
  const chance = (p) => (typeof p !== 'number' ? '' : p >= 0.001 ? p.toFixed(3) : p === 0 ? '0' : p.toExponential(0));
  function catalogue() {
    const it = answer.side_by_side;
    if (!it) return section('Trials side by side', null, absent('side-by-side', 'The catalogue was not run on both releases.'));
    const all = P.list(it.changes);
    const count = (direction) => all.filter((one) => one.direction === direction).length;
    const filter = new Set();
    const search = el('input', { type: 'search', placeholder: 'Search the changes  ( / )', 'aria-label': 'Search the changes', spellcheck: 'false', autocomplete: 'off' });
    const chips = Object.entries(DIRECTIONS).filter(([key]) => count(key)).map(([key, one]) => el('button', {
      type: 'button', class: 'chip tone-' + one.tone, 'aria-pressed': 'false', on: { click: (event) => {
        if (!filter.delete(key)) filter.add(key);
        event.currentTarget.setAttribute('aria-pressed', String(filter.has(key)));
        changes();
      } },
    }, el('b', {}, one.sign), one.word, el('span', { class: 'n' }, count(key))));
    const box = el('div', { style: { 'margin-top': '8px' } });
    const textOf = (one) => [one.trial, one.check, one.promise, one.evidence, one.id, one.weight, one.direction, one.accepted ? 'accepted' : ''].join('\n').toLowerCase();
    changes = () => {
      if (search.value !== P.state.q) search.value = P.state.q;
      const terms = P.state.q.toLowerCase().split(/\s+/).filter(Boolean);
      const shown = all.filter((one) => (!filter.size || filter.has(one.direction)) && terms.every((term) => textOf(one).includes(term)));
      P.clear(box).append(!all.length ? nothing('Every check that was made on both releases came out alike.') : !shown.length ? nothing('No change fits the search.') : table(
        ['', 'Trial and check', 'Old: broken', 'New: broken', 'Chance', 'Weight', 'What was seen'], shown.map((one) => {
          const direction = DIRECTIONS[one.direction] || { word: one.direction, tone: 'plain', sign: '\u00b7' };
          return el('tr', {}, el('td', {}, P.tag(direction.sign + ' ' + direction.word, direction.tone), one.accepted ? [el('br'), P.tag('accepted', 'known')] : null),
            el('td', { class: 'trial-cell' }, el('b', {}, one.trial), el('br'), el('code', {}, one.check), ' ', one.id ? P.tag(one.id, 'known', 'id') : null),
            el('td', { class: 'num' }, tally(one.from)), el('td', { class: 'num' }, tally(one.to)), el('td', { class: 'num' }, chance(one.chance)), el('td', {}, one.weight),
            el('td', { class: 'wide' }, el('p', { class: 'muted' }, one.promise), P.long(one.evidence || '', {}, 220), timeline(one.trial)));
        })));
    };
    search.addEventListener('input', () => { P.state.q = search.value; P.toHash(); changes(); });
    const left = P.entries(it.left_out);
    return section('Trials side by side', null,
      el('p', { class: 'note', style: { 'margin-bottom': '8px' } }, P.plural(it.trials, 'trial') + ', ' + P.plural(it.checks, 'check') + ' made on both: ' + count('worse') + ' worse, ' + count('better') + ' better, ' + count('undecided') + ' undecided, ' + it.broken_on_both + ' broken on both. ' +
        'How often a check broke is of this run, and of the runs that the harness ships; the chance is that of such a difference between equal releases.'),
      all.length ? el('div', { class: 'tools' }, search, el('div', { class: 'chips' }, chips)) : null, box,
      left.length ? P.fold(P.plural(left.length, 'trial') + ' left out', () => el('ul', { style: { 'padding-left': '18px' } }, left.map(([trial, why]) => el('li', {}, el('b', {}, trial), ': ' + why)))) : null);
  }
  function timeline(trial) {
    if (!P.list(data.timelines).some((it) => it.trial === trial)) return null;
    return el('p', {}, el('button', { type: 'button', class: 'linkish no-print', on: { click: () => { P.state.trial = trial; P.state.from = P.state.to = ''; P.go('timeline'); } } }, 'timeline of both sides'));
  }

  // --- the way there -----------------------------------------------------------------------------
  function rolled() {
    const all = P.list(answer.rolled);
    if (!all.length) return section('Rolling upgrade', null, absent('rolling', 'The upgrade itself was not carried out.'));
    const controls = answer.controls;
    return section('Rolling upgrade', all.length,
      el('div', { class: 'rows' }, all.map((it) => {
        const broken = P.list(it.broken);
        const [tone, sign, word] = it.nothing ? ['unsure', '?', 'says nothing'] : broken.length ? ['broken', '\u2715', broken.length + ' broken'] : ['holds', '\u2713', 'holds'];
        return el('div', { class: 'reason' },
          el('div', {}, P.tag(sign + ' ' + word, tone)),
          el('div', {}, el('p', {}, el('b', {}, WAYS[it.way] || it.way), ' (persistence ' + it.persistence + ')', el('span', { class: 'muted' }, ', trial ' + it.trial), ' ', timeline(it.trial)),
            it.nothing ? P.long(it.nothing, {}) : broken.length ? null : el('p', {}, 'Nothing breaks that a rolling restart does not break.'),
            broken.map((one) => el('div', { class: 'finding' }, P.sign(P.verdict(one.verdict)), el('div', { class: 'body' },
              el('div', { class: 'head' }, el('span', { class: 'check' }, one.check), el('span', {}, one.promise), P.tag('again in ' + ((it.again || {})[one.check] || 0) + ' of ' + REPLAYS + ' runs of the plan', 'plain')),
              P.long(one.evidence || '', { class: 'evidence' }), one.state ? P.fold('State of every node', () => el('pre', {}, one.state)) : null))),
            P.list(it.as_in_a_restart).length ? el('p', { class: 'muted' }, 'Broken as in a rolling restart: ' + it.as_in_a_restart.join(', ') + '.') : null,
            it.plan ? P.fold('The plan', () => el('div', {}, el('pre', {}, it.plan), el('p', { class: 'note' }, 'Run it again: ', el('code', {}, 'check ' + it.trial + ' --schedule FILE')))) : null));
      })),
      controls ? P.fold('What a rolling restart without an upgrade breaks', () => table(['Release', 'Persistence', 'Checks'], ['from', 'to'].flatMap((side) => P.entries(controls[side]).map(([persistence, checks]) =>
        el('tr', {}, el('td', {}, side === 'from' ? 'old' : 'new'), el('td', {}, persistence), el('td', { class: 'wide' }, (Array.isArray(checks) ? checks : P.entries(checks).map(([check, n]) => check + ' (' + n + ' times)')).join(', ') || 'none')))))) : null);
  }
  function files() {
    const all = P.list(answer.carried);
    if (!all.length) return section('Data files', null, absent('data-files', 'No data files were carried over.'));
    const of = (it, way) => P.list(it.findings).filter((one) => one.check.startsWith(way));
    const cell = (found) => {
      if (!found.length) return el('span', { class: 'muted' }, 'not tried');
      const bad = found.filter((one) => one.verdict !== 'holds');
      return [P.tag(bad.length ? '\u2715 ' + bad.length + ' of ' + found.length + ' do not hold' : '\u2713 everything is there', bad.length ? 'broken' : 'holds'), bad.map((one) => el('p', {}, el('code', {}, one.check), ' ' + one.verdict + ': ' + one.evidence))];
    };
    return section('Data files', null, table(['Files', 'To the new release', 'Back to the old one'], all.map((it) => el('tr', {}, el('td', {}, el('b', {}, it.files)), el('td', { class: 'wide' }, cell(of(it, 'there'))), el('td', { class: 'wide' }, cell(of(it, 'back')))))));
  }
  function configuration() {
    const it = answer.configuration;
    if (!it) return section('Configuration', null, absent('configuration', 'No configuration was tried.'));
    const value = (text) => (text === null || text === undefined ? el('span', { class: 'muted' }, 'none') : el('code', {}, text));
    const refusals = (title, all, tone) => (P.list(all).length ? [el('h3', {}, title), el('div', { class: 'rows' }, all.map((one) => el('div', { style: { padding: '6px 12px' } }, P.tag('refused', tone), ' ', el('code', {}, one.line || 'no line is named'), ' ', el('span', { class: 'muted' }, one.said))))] : null);
    const settings = (title, all) => (P.list(all).length ? [el('h3', {}, title), table(['Option', 'The file says', 'Old release', 'New release'], all.map((one) => el('tr', {}, el('td', {}, el('code', {}, one.option)), el('td', {}, value(one.wanted)), el('td', {}, value(one.from)), el('td', {}, value(one.to)))))] : null);
    const names = (title, all) => (P.list(all).length ? P.fold(title + ' (' + all.length + ')', () => el('p', { class: 'mono' }, all.join(', '))) : null);
    const parts = [
      refusals('Refused by the new release alone', it.refused, 'broken'), refusals('Refused by the old release alone', it.mended, 'accent'), refusals('Refused by both', it.refused_by_both, 'unsure'),
      settings('Lines without their effect on the new release', it.ineffective), settings('Changed by CONFIG REWRITE and a restart', it.rewritten), settings('Defaults that changed', it.defaults),
      names('Options that only the old release has', it.gone), names('Options that only the new release has', it.added),
      P.list(it.left_out).length ? P.fold('Lines that were not tried (' + it.left_out.length + ')', () => table(['Line', 'Why'], it.left_out.map(([line, why]) => el('tr', {}, el('td', {}, el('code', {}, line)), el('td', { class: 'wide' }, why))))) : null,
    ].filter(Boolean);
    return section('Configuration', null, el('p', { class: 'note' }, it.file), parts.length ? parts : nothing('It comes to the same on both releases.'));
  }

  P.upgrade = {
    build(panel, all) {
      data = all;
      answer = data.upgrade;
      changes = () => {};
      if (!answer) {
        panel.append(nothing('This report holds no answer of an upgrade check.'));
        return;
      }
      const measured = P.list(answer.measured);
      P.add(panel, [
        identities(), reasons(), catalogue(),
        section('Measurements', null, measured.length ? [el('p', { class: 'note', style: { 'margin-bottom': '8px' } }, 'Left: each round on the old release (hollow) and on the new one (filled), with the medians. Right: the ratio of new to old with its interval, and the rounds\u2019 own ratios below; the shaded part is what these rounds could not have told from no change.'), P.measured(measured)] : absent('measure', 'Nothing was measured.')),
        rolled(), files(), configuration(),
      ]);
    },
    render: () => changes(),
  };
})(window.Page = window.Page || {});
