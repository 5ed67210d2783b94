// What was there at a time on a node: the card beside the pointer or the keyboard's cursor.
(function (P) {
  'use strict';
  const { el } = P;
  const SIGNS = ['\u25ae', '\u2715', '\u25b3'];
  const TONES = ['write', 'not-done', 'not-answered'];

  // Operations near a time on a lane; with a row, those of that row alone. Marked ones first.
  P.near = function (model, view, lane, t, reach, y, place) {
    const ops = model.ops;
    const found = [];
    const [first] = P.within(ops, t - reach, t);
    for (let at = first; at < ops.n && ops.from[at] <= t + reach; at++) {
      if (ops.lane[at] !== lane || ops.to[at] < t - reach) continue;
      if (view.filter && !ops.raw[at][5].toLowerCase().includes(view.filter.toLowerCase())) continue;
      const away = t < ops.from[at] ? ops.from[at] - t : t > ops.to[at] ? t - ops.to[at] : 0;
      const off = place && y !== null ? Math.abs(P.rowY(place, ops.row[at]) - y) : 0;
      found.push({ at, away, off, rank: ops.mark[at] >= 0 ? 0 : ops.fate[at] ? 1 : 2 });
    }
    const close = found.filter((it) => it.off < 3.5);
    const all = close.length ? close : y === null ? found : found.filter((it) => it.rank === 0 && it.off < 8);
    return all.sort((a, b) => a.rank - b.rank || a.away - b.away).map((it) => it.at);
  };

  P.operation = function (model, at) {
    const [from, to, lane, client, proxied, text, fate, answer, write, mark] = model.ops.raw[at];
    const it = P.FATES[fate] || { word: 'of unknown fate' };
    const name = model.lanes[lane] ? model.lanes[lane].name : 'an unknown node';
    const ended = typeof to === 'number' ? to : from;
    return {
      text, lane: name, mark,
      says: it.word + (answer ? ': ' + answer : ''),
      when: P.at(from) + ', ' + P.span(ended - from) + '; client ' + client + (proxied ? ' through the proxy' : '') + (write ? '' : '; a read'),
      sign: SIGNS[fate] || '?', tone: fate === 0 && !write ? 'read' : TONES[fate] || 'muted',
    };
  };
  function line(model, at) {
    const it = P.operation(model, at);
    const mark = model.marks[it.mark];
    return el('li', { class: it.mark >= 0 ? 'marked' : '' },
      el('span', { class: 'op-sign', 'aria-hidden': 'true', style: { color: 'var(--' + it.tone + ')' } }, it.sign),
      el('div', {}, el('code', {}, it.text), ' ', el('span', {}, it.says), el('br'), el('span', { class: 'muted' }, it.when),
        mark ? [el('br'), el('b', { class: 'ringed' }, 'marked by ' + mark.check)] : null));
  }

  function states(model, lane, t) {
    const parts = [];
    const put = (name, value, tone) => { if (value !== null && value !== 'gone') parts.push(el('span', {}, el('span', { class: 'muted' }, name + ' '), tone ? el('b', { class: 'tone-' + tone, style: { color: 'var(--tone)' } }, value) : value)); };
    const role = P.stateAt(lane, 'role', t);
    put('role', role === null ? null : P.roleWord(role));
    const replid = P.stateAt(lane, 'replid', t);
    put('replid', replid === null || replid === 'gone' ? null : replid.slice(0, 12));
    for (const link of lane.links) { const value = P.stateAt(lane, 'link ' + link, t); put('link to ' + link, value, value === 'down' ? 'broken' : null); if (P.stateAt(lane, 'sync ' + link, t) === 'yes') put('resync from', link, 'unsure'); }
    for (const server of lane.servers) { const value = P.stateAt(lane, 'server ' + server, t); put(server, value, value && !value.startsWith('UP') ? 'broken' : null); }
    if (P.stateAt(lane, 'loading', t) === 'yes') put('', 'loading', 'unsure');
    if (P.stateAt(lane, 'answers', t) === 'no') put('', 'does not answer', 'broken');
    return parts;
  }

  // The contents of the card.
  P.card = function (model, view, lane, t, reach, y, place) {
    const it = model.lanes[lane];
    if (!it) return null;
    const all = P.near(model, view, lane, t, reach, y, place);
    const clock = P.clock(model.raw.began, t);
    const faults = model.faults.filter((fault) => fault.from <= t && t <= fault.to);
    const ticks = it.ticks.filter((tick) => Math.abs(tick.t - t) <= reach * 1.5);
    const digits = view.to - view.from < 200 ? 4 : 3;
    return [
      el('p', { class: 'card-head' }, el('b', {}, it.name), ' at ' + P.at(t, digits), clock ? el('span', { class: 'muted' }, ' (' + clock + ')') : null),
      el('p', { class: 'card-states' }, states(model, it, t)),
      faults.length ? el('p', {}, faults.map((fault) => {
        const phase = fault.phases.filter((one) => one.t <= t).pop();
        return el('span', { class: 'card-fault' }, el('i', { class: 'swatch', style: { background: fault.colour } }), fault.name + (phase ? ': ' + phase.phase : ''));
      })) : null,
      ticks.map((tick) => el('p', {}, el('b', {}, tick.letter + ' '), tick.says + ' at ' + P.at(tick.t))),
      all.length ? el('ul', { class: 'card-ops' }, all.slice(0, 3).map((at) => line(model, at))) : null,
      all.length > 3 ? el('p', { class: 'muted' }, 'and ' + (all.length - 3) + ' more here') : null,
    ];
  };

  // --- what was marked, and what happened --------------------------------------------------------
  P.markedList = function (model, view, show) {
    if (!model.marks.length) return el('p', { class: 'note' }, 'No check names an operation of this trial.');
    return el('div', { class: 'rows' }, model.marks.map((mark) => {
      const put = (from, list, more) => {
        for (const at of mark.operations.slice(from, from + 25)) {
          const it = P.operation(model, at);
          list.append(el('li', {},
            el('button', { type: 'button', class: 'no-print', 'aria-label': 'Show ' + it.text + ' in the timeline', on: { click: () => show(at) } }, 'Show'),
            el('div', {}, el('code', {}, it.text), ' on ' + it.lane + ', ' + it.says, el('br'), el('span', { class: 'muted' }, it.when))));
        }
        more.textContent = mark.operations.length > from + 25 ? (mark.operations.length - from - 25) + ' more' : '';
        more.hidden = mark.operations.length <= from + 25;
        more.onclick = () => put(from + 25, list, more);
      };
      const list = el('ul', { class: 'marked-ops' });
      const more = el('button', { type: 'button', class: 'no-print' });
      put(0, list, more);
      return el('div', { class: 'marked-check' },
        el('p', {}, el('span', { class: 'ring-sign', 'aria-hidden': 'true' }), el('b', { class: 'mono' }, mark.check), ' ', el('span', {}, mark.promise)),
        mark.evidence ? P.long(mark.evidence, { class: 'evidence' }) : null,
        mark.state ? P.fold('State of every node', () => el('pre', {}, mark.state)) : null,
        mark.operations.length ? [list, more] : el('p', { class: 'note' }, 'It names no single operation.'));
    }));
  };
  P.eventList = function (model, jump) {
    const all = model.events;
    if (!all.length) return el('p', { class: 'note' }, 'No fault was injected, and no server was seen to change.');
    const most = 400;
    return el('div', {}, el('div', { class: 'scroll', style: { 'max-height': '320px', 'overflow-y': 'auto' } }, el('table', { class: 'table' },
      el('thead', {}, el('tr', {}, ['Time', 'Where', 'What'].map((it) => el('th', { scope: 'col' }, it)))),
      el('tbody', {}, all.slice(0, most).map((it) => el('tr', {},
        el('td', { class: 'num' }, el('button', { type: 'button', class: 'linkish', on: { click: () => jump(it.t, it.lane) } }, P.at(it.t))),
        el('td', {}, it.colour ? el('i', { class: 'swatch', style: { background: it.colour } }) : null, it.who), el('td', { class: 'wide' }, it.what)))))),
    all.length > most ? el('p', { class: 'note' }, 'These are the first ' + most + ' of ' + all.length + '.') : null);
  };
})(window.Page = window.Page || {});
