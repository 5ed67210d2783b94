// Conflict matrices and what clients saw behind each health check, as heat maps that are tables.
(function (P) {
  'use strict';
  const { el } = P;
  const tint = (name, part) => 'rgba(var(--' + name + '), ' + part.toFixed(2) + ')';

  // One cell can be reached by tab, the others from it by arrows.
  function roving(table) {
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].filter((it) => it.tagName === 'TD'));
    if (!rows.length || !rows[0].length) return;
    rows.flat().forEach((it) => it.setAttribute('tabindex', '-1'));
    rows[0][0].setAttribute('tabindex', '0');
    table.addEventListener('keydown', (event) => {
      const y = rows.findIndex((row) => row.includes(event.target));
      if (y < 0) return;
      const x = rows[y].indexOf(event.target);
      const [dy, dx] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [0, 0];
      const next = (dy || dx) && (rows[y + dy] || [])[x + dx];
      if (!next) return;
      event.preventDefault();
      event.target.setAttribute('tabindex', '-1');
      next.setAttribute('tabindex', '0');
      next.focus();
    });
  }

  function conflict(matrix) {
    const reading = el('p', { class: 'reading', 'aria-live': 'polite' }, el('span', { class: 'muted' }, 'Point at a cell, or walk there with tab and the arrows, to read it in full.'));
    const seen = new Set();
    const words = matrix.words || {};
    const means = (ending) => (words[ending] || {}).means;
    const isApart = (ending) => (words[ending] || {}).converges === false;
    const columns = P.list(matrix.columns);
    const body = P.list(matrix.rows).map((first, y) => el('tr', {}, el('th', { scope: 'row' }, first), columns.map((second, x) => {
      const cell = (P.list(matrix.cells)[y] || [])[x];
      if (!cell) return el('td', { 'aria-label': first + ', then ' + second + ': not measured' }, el('span', { class: 'muted' }, '\u2013'));
      const endings = P.entries(cell.endings);
      const keys = endings.reduce((sum, [, n]) => sum + n, 0);
      const apart = endings.reduce((sum, [ending, n]) => sum + (isApart(ending) ? n : 0), 0);
      endings.forEach(([ending]) => seen.add(ending));
      const part = keys ? apart / keys : cell.converges ? 0 : 1;
      const background = cell.converges ? tint('cool', 0.14) : tint('heat', 0.18 + 0.34 * part);
      const says = first + ' on the first primary, then ' + second + ' on the second: ' + (cell.converges ? 'converges' : 'does not converge') +
        (endings.length ? '; ' + endings.map(([ending, n]) => ending + ' ' + n + ' of ' + keys + (means(ending) ? ' (' + means(ending) + ')' : '')).join('; ') : '');
      const say = () => { reading.textContent = says; };
      return el('td', { class: cell.converges ? '' : 'apart', style: { background }, title: says, 'aria-label': says, on: { mouseenter: say, focus: say } },
        (cell.converges ? '' : '\u2260 ') + (endings.length === 1 ? endings[0][0] : cell.text));
    })));
    const table = el('table', { class: 'heat' }, el('caption', { class: 'hidden' }, matrix.title),
      el('thead', {}, el('tr', {}, el('td', { style: { background: 'none', 'text-align': 'right' } }, el('span', { class: 'muted' }, 'first \u2193 second \u2192')), columns.map((it) => el('th', { scope: 'col' }, it)))),
      el('tbody', {}, body));
    roving(table);
    return el('section', {}, el('h3', {}, matrix.title),
      el('div', { class: 'scroll' }, table), reading,
      el('p', { class: 'legend' },
        el('span', {}, el('i', { class: 'swatch', style: { background: tint('heat', 0.5), 'box-shadow': 'inset 3px 0 0 var(--broken)' } }), '\u2260 does not converge (paler: some of the keys do)'),
        el('span', {}, el('i', { class: 'swatch', style: { background: tint('cool', 0.2) } }), 'converges'),
        [...seen].sort().map((it) => el('span', {}, el('b', {}, it), means(it) ? ' ' + means(it) : ''))));
  }

  function health(it) {
    const shade = (gap) => (typeof gap === 'number' ? Math.min(1, Math.log1p(gap / 0.05) / Math.log1p(10 / 0.05)) : 0);
    const body = P.list(it.rows).map((row, y) => el('tr', {}, el('th', { scope: 'row' }, row), P.list(it.columns).map((column, x) => {
      const text = (P.list(it.cells)[y] || [])[x];
      const gap = (P.list(it.gaps)[y] || [])[x];
      if (text === undefined || text === '-') return el('td', { 'aria-label': 'not measured' }, el('span', { class: 'muted' }, '\u2013'));
      const [failed] = text.split('; ');
      return el('td', { style: { background: tint('heat', 0.05 + 0.5 * shade(gap)) }, title: row + ', ' + column + ': ' + text },
        typeof gap === 'number' ? [el('b', {}, gap.toFixed(2) + ' s'), failed] : text);
    })));
    const table = el('table', { class: 'heat health' }, el('caption', { class: 'hidden' }, 'Health checks'),
      el('thead', {}, el('tr', {}, el('td', { style: { background: 'none' } }), P.list(it.columns).map((name) => el('th', { scope: 'col', style: { 'text-align': 'left' } }, name)))), el('tbody', {}, body));
    roving(table);
    return el('section', {}, el('h2', {}, 'Health checks of the proxy'),
      el('p', { class: 'note' }, 'What clients saw behind each health check while a primary stood still, stopped, loaded or returned. The time is the longest for which nobody was served; below it, sessions that failed, by kind. The longer the time, the darker the cell.'),
      el('div', { class: 'scroll', style: { 'margin-top': '8px' } }, table));
  }

  P.matrices = {
    count: (data) => P.list(data.matrices).length + (data.health ? 1 : 0),
    build(panel, data) {
      const all = P.list(data.matrices);
      P.add(panel, [
        el('h2', { style: { 'margin-top': '4px' } }, 'Conflicting writes'),
        all.length
          ? [el('p', { class: 'note' }, 'Both primaries write to the same key while the links are as the title says. Rows are the first primary\u2019s write, columns the second primary\u2019s newer one.'), all.map(conflict)]
          : el('p', { class: 'empty' }, 'No conflict matrix was measured in this run.'),
        data.health ? health(data.health) : [el('h2', {}, 'Health checks of the proxy'), el('p', { class: 'empty' }, 'No health check was measured in this run.')],
      ]);
    },
  };
})(window.Page = window.Page || {});
