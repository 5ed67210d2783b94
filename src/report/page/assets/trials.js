// Trials and promises: a searchable list, the unexpected first.
(function (P) {
  'use strict';
  const { el } = P;
  const RANK = { broken: 0, inconclusive: 1, holds: 2 };
  const open = new Set();
  let data, rows, parts;

  // Trials of the same id are one row: the same trial, made several times.
  function gather() {
    const byId = new Map();
    for (const trial of P.list(data.results && data.results.trials)) {
      const run = { trial, text: null };
      if (!byId.has(trial.id)) byId.set(trial.id, { id: trial.id, runs: [] });
      byId.get(trial.id).runs.push(run);
    }
    return [...byId.values()];
  }
  const knownOf = (id, check) => ((data.known || {})[id] || {})[check];

  function textOf(run) {
    if (run.text !== null) return run.text;
    const trial = run.trial;
    const parts = [trial.id, trial.headline, trial.environment, P.list(trial.limitations).join(' ')];
    for (const finding of P.list(trial.findings)) {
      parts.push(finding.check, finding.promise, finding.evidence, finding.state);
      const known = knownOf(trial.id, finding.check);
      if (known && finding.verdict === 'broken') parts.push(known.id, known.why);
    }
    for (const measure of P.list(trial.measures)) parts.push(measure.name);
    return (run.text = parts.filter(Boolean).join('\n').toLowerCase());
  }
  const terms = () => P.state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (text, wanted) => wanted.every((term) => text.includes(term));
  function passes(run, wanted, without) {
    const { verdict, standing } = P.state;
    return (without === 'verdict' || !verdict.size || verdict.has(run.trial.verdict)) &&
      (without === 'standing' || !standing.size || standing.has(run.trial.standing)) &&
      found(textOf(run), wanted);
  }

  // --- a finding ---------------------------------------------------------------------------------
  function explained(id) {
    const it = (data.explanations || {})[id];
    if (!it) return null;
    const paragraph = (name, text) => {
      if (!text || !text.length) return null;
      if (Array.isArray(text)) return [el('p', {}, el('b', {}, name)), el('ul', { style: { 'padding-left': '18px' } }, text.map((line) => el('li', {}, line)))];
      return el('p', { class: 'prewrap' }, el('b', {}, name + ' '), text);
    };
    return P.fold('What ' + id + ' is, and what to do', () => el('div', { class: 'known' },
      el('p', {}, el('b', {}, id + ': ' + it.title)), paragraph('How it comes about.', it.text), paragraph('What to do.', it.mend)));
  }
  P.explained = explained;
  function known(trial, finding) {
    const it = finding.verdict === 'broken' && knownOf(trial.id, finding.check);
    if (!it) return null;
    const kind = { known: 'known deviation', sometimes: 'known race', limitation: 'limit by design' }[it.kind] || it.kind;
    return el('div', { class: 'known' },
      el('p', {}, P.tag(it.id, 'known', 'id'), ' ', el('b', {}, kind + ': '), it.why), explained(it.id));
  }
  function finding(trial, it, withTrial) {
    const verdict = P.verdict(it.verdict);
    const limit = P.list(trial.limitations).includes(it.check);
    return el('div', { class: 'finding' }, P.sign(verdict),
      el('div', { class: 'body' },
        el('div', { class: 'head' },
          withTrial ? el('button', { type: 'button', class: 'linkish', on: { click: () => show(trial.id) } }, trial.id) : null,
          el('span', { class: 'check' }, it.check),
          withTrial ? null : el('span', {}, it.promise),
          it.verdict === 'inconclusive' ? P.tag('inconclusive', 'unsure') : null,
          limit ? P.tag('limit by design', 'known') : null),
        it.evidence ? P.long(it.evidence, { class: 'evidence' + (it.verdict === 'holds' ? ' muted' : '') }) : null,
        known(trial, it),
        it.state ? P.fold('State of every node', () => el('pre', {}, it.state)) : null));
  }

  // --- a trial -----------------------------------------------------------------------------------
  function frequency(id) {
    const it = ((data.results || {}).frequencies || {})[id];
    if (!it || it.n === undefined) return null;
    const verdicts = P.entries(it.verdicts).map(([verdict, n]) => n + ' of ' + it.n + ' ' + verdict).join(', ');
    const checks = P.entries(it.broken).map(([check, n]) => check + ' ' + n + ' of ' + it.n).join(', ');
    const steady = Object.keys(it.verdicts || {}).length === 1;
    return el('p', { class: 'note' }, el('b', {}, steady ? 'Steady' : it.n ? 'Varies' : 'Not made'),
      it.n ? ': ' + verdicts + '.' + (checks ? ' Broken checks: ' + checks + '.' : '') : '.');
  }
  function run(trial) {
    const all = P.list(trial.findings).slice().sort((a, b) => RANK[a.verdict] - RANK[b.verdict]);
    const loud = all.filter((it) => it.verdict !== 'holds');
    const held = all.filter((it) => it.verdict === 'holds');
    const measures = P.list(trial.measures);
    return el('div', {},
      trial.environment ? el('p', {}, P.tag('not made', 'unsure'), ' ', trial.environment) : null,
      loud.map((it) => finding(trial, it)),
      held.length ? P.fold(P.plural(held.length, 'promise') + ' held', () => el('div', {}, held.map((it) => finding(trial, it))), !loud.length && held.length < 9) : null,
      measures.length ? P.fold(P.plural(measures.length, 'measure'), () => el('div', { class: 'scroll' }, el('table', { class: 'table' },
        el('tbody', {}, measures.map((it) => el('tr', {}, el('td', {}, it.name), el('td', { class: 'num' }, P.figure(it.value, it.unit)))))))) : null,
      !all.length && !trial.environment ? el('p', { class: 'note' }, 'No check was made.') : null);
  }
  function inside(row) {
    const runs = row.runs.slice().sort((a, b) => RANK[a.trial.verdict] - RANK[b.trial.verdict]);
    const box = el('div', {}, run(runs[0].trial));
    const select = runs.length > 1 && el('select', { 'aria-label': 'Which run', on: { change: () => P.add(P.clear(box), [run(runs[select.value].trial)]) } },
      runs.map((it, at) => el('option', { value: at }, 'run ' + (row.runs.indexOf(it) + 1) + ' of ' + runs.length + ': ' + P.verdict(it.trial.verdict).word)));
    const first = runs[0].trial;
    const timeline = P.list(data.timelines).some((it) => it.trial === row.id);
    return el('div', { class: 'inside' },
      first.headline ? el('p', { class: 'prewrap' }, first.headline) : null,
      frequency(row.id),
      first.tries > 1 ? el('p', { class: 'note' }, 'Made ' + first.tries + ' times until it said something; this is of the last.') : null,
      el('div', { class: 'tools no-print' },
        timeline ? el('button', { type: 'button', on: { click: () => { P.state.trial = row.id; P.state.from = P.state.to = ''; P.go('timeline'); } } }, 'Open the timeline') : el('span', { class: 'note' }, P.list(data.timelines_left_out).includes(row.id) ? 'Its timeline was left out of this page for size.' : 'No timeline was kept of this trial.'), select || null),
      box);
  }
  function rowOf(row, matching) {
    const worst = matching.slice().sort((a, b) => RANK[a.trial.verdict] - RANK[b.trial.verdict])[0].trial;
    const standing = P.standing(worst.standing);
    const ids = new Set();
    for (const it of P.list(worst.findings)) {
      const of = it.verdict === 'broken' && knownOf(row.id, it.check);
      if (of) ids.add(of.id);
    }
    const broken = P.list(worst.findings).filter((it) => it.verdict === 'broken' && !knownOf(row.id, it.check)).map((it) => it.check);
    const says = worst.environment || (broken.length ? broken.slice(0, 4).join(', ') + (broken.length > 4 ? ' and ' + (broken.length - 4) + ' more' : '') : worst.headline);
    const details = el('details', { class: 'trial', 'data-trial': row.id },
      el('summary', {},
        P.sign(P.verdict(worst.verdict)),
        el('span', { class: 'id-text' }, row.id, row.runs.length > 1 ? el('span', { class: 'muted' }, ' \u00d7' + row.runs.length) : null),
        el('span', { class: 'tags' }, P.tag(standing.word, standing.tone), [...ids].map((id) => P.tag(id, 'known', 'id')),
          P.list(worst.limitations).length ? P.tag('limit', 'known') : null),
        el('span', { class: 'says', title: says }, says),
        el('span', { class: 'secs' }, typeof worst.seconds === 'number' ? P.seconds(worst.seconds) : '')));
    const fill = () => { if (details.childElementCount === 1) details.append(inside(row)); };
    details.addEventListener('toggle', () => {
      if (details.open) { fill(); open.add(row.id); } else open.delete(row.id);
    });
    if (open.has(row.id)) { fill(); details.open = true; }
    return details;
  }
  const group = (title, sign, n, says, children) => el('section', { class: 'group' },
    el('h2', {}, sign, title, el('span', { class: 'n' }, n), says ? el('span', { class: 'n', style: { 'font-size': '13px' } }, says) : null), el('div', { class: 'rows' }, children));

  function byTrial(list, wanted) {
    const groups = new Map();
    let shown = 0;
    for (const row of rows) {
      const matching = row.runs.filter((it) => passes(it, wanted));
      if (!matching.length) continue;
      shown += matching.length;
      const order = Object.keys(P.STANDINGS);
      const rank = (it) => { const at = order.indexOf(it.trial.standing); return at < 0 ? 99 : at; };
      const standing = matching.slice().sort((a, b) => rank(a) - rank(b))[0].trial.standing;
      if (!groups.has(standing)) groups.set(standing, { list: [], n: 0 });
      groups.get(standing).list.push(rowOf(row, matching));
      groups.get(standing).n += matching.length;
    }
    const keys = [...Object.keys(P.STANDINGS), ...[...groups.keys()].filter((it) => !P.STANDINGS[it])];
    for (const key of keys) {
      if (!groups.has(key)) continue;
      const it = P.standing(key);
      const { list: all, n } = groups.get(key);
      list.append(group(it.title, P.sign(it), n === all.length ? n : P.plural(all.length, 'trial') + ', made ' + n + ' times', it.says, all));
    }
    return shown;
  }
  function byPromise(list, wanted) {
    const promises = new Map();
    let shown = 0;
    for (const row of rows) for (const it of row.runs) {
      if (!passes(it, wanted, 'verdict')) continue;
      let any = false;
      for (const finding of P.list(it.trial.findings)) {
        if (P.state.verdict.size && !P.state.verdict.has(finding.verdict)) continue;
        const text = [row.id, finding.check, finding.promise, finding.evidence, finding.state].join('\n').toLowerCase();
        if (wanted.length && !found(text, wanted)) continue;
        any = true;
        if (!promises.has(finding.promise)) promises.set(finding.promise, []);
        promises.get(finding.promise).push({ trial: it.trial, finding });
      }
      if (any) shown += 1;
    }
    const rank = (all) => Math.min(...all.map((it) => RANK[it.finding.verdict] + (it.trial.standing === 'known' ? 0.5 : 0)));
    const sorted = [...promises.entries()].sort((a, b) => rank(a[1]) - rank(b[1]) || b[1].length - a[1].length);
    const box = el('div', { class: 'rows' });
    for (const [promise, all] of sorted) {
      all.sort((a, b) => RANK[a.finding.verdict] - RANK[b.finding.verdict]);
      const count = (verdict) => all.filter((it) => it.finding.verdict === verdict).length;
      const says = ['broken', 'inconclusive', 'holds'].filter(count).map((it) => count(it) + ' ' + it).join(', ');
      const details = el('details', { class: 'trial' }, el('summary', { style: { 'grid-template-columns': '18px minmax(0, 1fr) auto' } },
        P.sign(P.verdict(all[0].finding.verdict)), el('span', { class: 'id-text' }, promise || 'no promise is named'), el('span', { class: 'secs' }, says)));
      details.addEventListener('toggle', () => {
        if (!details.open || details.childElementCount > 1) return;
        const inner = el('div', { class: 'inside' });
        const put = (from) => {
          P.add(inner, [all.slice(from, from + 60).map((it) => finding(it.trial, it.finding, true))]);
          if (from + 60 < all.length) {
            const more = el('button', { type: 'button', on: { click: () => { more.remove(); put(from + 60); } } }, (all.length - from - 60) + ' more');
            inner.append(more);
          }
        };
        put(0);
        details.append(inner);
      });
      box.append(details);
    }
    if (sorted.length) list.append(el('section', { class: 'group' }, el('h2', {}, 'Promises', el('span', { class: 'n' }, sorted.length)), box));
    return shown;
  }

  // --- the panel ---------------------------------------------------------------------------------
  function chip(set, key, it, counts) {
    const pressed = P.state[set].has(key);
    const n = counts.get(key) || 0;
    if (!n && !pressed) return null;
    return el('button', {
      type: 'button', class: 'chip tone-' + it.tone, 'aria-pressed': String(pressed), title: it.says || it.word,
      on: { click: () => { if (pressed) P.state[set].delete(key); else P.state[set].add(key); P.toHash(); P.trials.render(); } },
    }, el('b', {}, it.sign), it.word, el('span', { class: 'n' }, n));
  }
  function chips() {
    const wanted = terms();
    const count = (set) => {
      const counts = new Map();
      for (const row of rows) for (const it of row.runs) if (passes(it, wanted, set)) counts.set(it.trial[set], (counts.get(it.trial[set]) || 0) + 1);
      return counts;
    };
    const verdicts = count('verdict');
    const standings = count('standing');
    P.add(P.clear(parts.verdicts), [el('span', { class: 'label' }, 'Verdict'), Object.entries(P.VERDICTS).map(([key, it]) => chip('verdict', key, it, verdicts))]);
    P.add(P.clear(parts.standings), [el('span', { class: 'label' }, 'Standing'), Object.entries(P.STANDINGS).map(([key, it]) => chip('standing', key, it, standings))]);
  }
  function show(id) {
    P.state.trial = id;
    P.state.group = '';
    open.add(id);
    P.go('trials');
  }
  P.trials = {
    count: (all) => P.list(all.results && all.results.trials).length,
    build(panel, all) {
      data = all;
      rows = gather();
      if (!data.results) {
        panel.append(el('p', { class: 'empty' }, 'This report holds no results of single trials.'));
        document.body.setAttribute('data-trials-shown', '0');
        parts = null;
        return;
      }
      const search = el('input', { type: 'search', id: 'search', placeholder: 'Search trials, promises, evidence, states  ( / )', 'aria-label': 'Search trials', autocomplete: 'off', spellcheck: 'false' });
      search.addEventListener('input', () => { P.state.q = search.value; P.toHash(); P.trials.render(); });
      const switches = ['trial', 'promise'].map((key) => el('button', {
        type: 'button', class: 'chip tone-accent', on: { click: () => { P.state.group = key === 'trial' ? '' : key; P.toHash(); P.trials.render(); } },
      }, 'by ' + key));
      parts = { search, switches, verdicts: el('div', { class: 'chips', role: 'group', 'aria-label': 'Filter by verdict' }), standings: el('div', { class: 'chips', role: 'group', 'aria-label': 'Filter by standing' }), list: el('div', {}), shown: el('p', { class: 'shown', 'aria-live': 'polite' }) };
      const unavailable = P.entries(data.results.unavailable);
      P.add(panel, [
        el('div', { class: 'tools' }, search, el('div', { class: 'chips', role: 'group', 'aria-label': 'List' }, el('span', { class: 'label' }, 'List'), switches), parts.verdicts, parts.standings),
        parts.shown, parts.list,
        unavailable.length ? el('section', { class: 'group' }, el('h2', {}, 'Not available on these servers', el('span', { class: 'n' }, unavailable.length)),
          el('div', { class: 'rows' }, unavailable.map(([id, why]) => el('div', { style: { padding: '6px 12px' } }, el('b', {}, id), ': ' + why)))) : null,
      ]);
    },
    // `arrived`: from elsewhere, so that the trial which is asked for is opened.
    render(arrived) {
      if (!parts) return;
      if (parts.search.value !== P.state.q) parts.search.value = P.state.q;
      parts.switches.forEach((it, at) => it.setAttribute('aria-pressed', String((P.state.group === 'promise') === (at === 1))));
      chips();
      P.clear(parts.list);
      const wanted = terms();
      const total = P.trials.count(data);
      if (arrived && P.state.trial) open.add(P.state.trial);
      const shown = P.state.group === 'promise' ? byPromise(parts.list, wanted) : byTrial(parts.list, wanted);
      parts.shown.textContent = !total ? 'No trial was made.' : shown === total ? 'All ' + P.plural(total, 'trial') + ' are shown.' : shown + ' of ' + P.plural(total, 'trial') + (shown === 1 ? ' is shown.' : ' are shown.');
      if (!shown && total) parts.list.append(el('p', { class: 'empty' }, 'No trial fits the search and the filters. ', el('button', { type: 'button', on: { click: () => { P.state.q = ''; P.state.verdict.clear(); P.state.standing.clear(); P.toHash(); P.trials.render(); } } }, 'Show all')));
      document.body.setAttribute('data-trials-shown', String(shown));
    },
    reveal(id) {
      const row = [...parts.list.querySelectorAll('[data-trial]')].find((it) => it.getAttribute('data-trial') === id);
      if (row) row.scrollIntoView({ block: 'start' });
    },
  };
  window.addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('#panel-trials .trial')) {
      if (details.querySelector('summary .tone-broken')) details.open = true;
    }
  });
})(window.Page = window.Page || {});
