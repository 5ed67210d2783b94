// What was measured of two releases: old and new by rounds, and their ratio with its interval.
(function (P) {
  'use strict';
  const { el, svg } = P;

  P.compared = function (measured) {
    const { difference, interval } = measured.comparison || {};
    const [low, high] = P.list(interval);
    if (difference === 'none' && (low > 1 || high < 1)) return { word: 'too little to matter', tone: 'holds', sign: '=' };
    if (difference === 'none') return { word: 'no difference', tone: 'holds', sign: '=' };
    if (difference === 'unknown' || !difference) return { word: 'too few rounds', tone: 'unsure', sign: '?' };
    const worse = (difference === 'greater') === !!measured.more_is_worse;
    return worse ? { word: 'worse', tone: 'broken', sign: '\u2715' } : { word: 'better', tone: 'accent', sign: '\u2191' };
  };
  const text = (x, y, words, attributes) => svg('text', Object.assign({ x, y, fill: 'var(--muted)', 'font-size': 11 }, attributes), words);
  const circle = (x, y, r, filled) => svg('circle', { cx: x, cy: y, r, fill: filled ? 'var(--accent)' : 'var(--panel)', stroke: 'var(--accent)', 'stroke-width': 1.6 });

  // Two lines of dots, old above new; a thread joins those of a round.
  function rounds(measured) {
    const all = P.list(measured.rounds);
    const values = all.flat();
    const width = 360;
    const height = 74;
    const picture = svg('svg', { viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': measured.name + ' by rounds: ' + all.map(([old, now]) => P.figure(old, measured.unit) + ' to ' + P.figure(now, measured.unit)).join('; ') });
    if (!values.length) return P.add(picture, [text(4, 20, 'no round')]);
    let low = Math.min(...values);
    let high = Math.max(...values);
    const room = (high - low) * 0.12 || Math.abs(high) * 0.1 || 1;
    low = Math.max(low >= 0 ? 0 : -Infinity, low - room);
    high += room;
    const x = (value) => 34 + ((value - low) / (high - low)) * (width - 48);
    const [top, bottom] = [14, 42];
    P.add(picture, [
      text(2, top + 4, 'old'), text(2, bottom + 4, 'new'),
      svg('line', { x1: 34, x2: width - 8, y1: top, y2: top, stroke: 'var(--rule)' }), svg('line', { x1: 34, x2: width - 8, y1: bottom, y2: bottom, stroke: 'var(--rule)' }),
      all.map(([old, now]) => svg('line', { x1: x(old), y1: top, x2: x(now), y2: bottom, stroke: 'var(--muted)', 'stroke-opacity': 0.5 })),
      all.map(([old]) => circle(x(old), top, 4, false)), all.map(([, now]) => circle(x(now), bottom, 4, true)),
    ]);
    for (const [value, y] of [[measured.comparison.from, top], [measured.comparison.to, bottom]]) {
      if (typeof value === 'number') picture.append(svg('line', { x1: x(value), x2: x(value), y1: y - 9, y2: y + 9, stroke: 'var(--ink)', 'stroke-width': 2 }));
    }
    P.add(picture, [text(34, 68, P.figure(low, measured.unit)), text(width - 8, 68, P.figure(high, measured.unit), { 'text-anchor': 'end' })]);
    return picture;
  }

  // The ratio on a scale that all measurements share, equal steps for equal factors.
  function ratio(measured, span) {
    const it = measured.comparison || {};
    const width = 360;
    const height = 74;
    const x = (value) => 12 + ((Math.log2(Math.max(1e-6, value)) + span) / (2 * span)) * (width - 24);
    const inside = (value) => Math.max(4, Math.min(width - 4, x(value)));
    const tone = P.compared(measured).tone;
    const colour = 'var(--' + tone + ')';
    const [low, high] = P.list(it.interval).length === 2 ? it.interval : [it.ratio, it.ratio];
    const picture = svg('svg', { viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': 'ratio new to old ' + (it.ratio || 0).toFixed(2) + ', between ' + (low || 0).toFixed(2) + ' and ' + (high || 0).toFixed(2) });
    const told = it.resolution;
    if (typeof told === 'number' && told > 0) {
      const from = inside(1 / (1 + told));
      const to = inside(1 + told);
      picture.append(svg('rect', { x: from, y: 6, width: Math.max(1, to - from), height: 42, fill: 'var(--soft)' }));
    }
    const marks = span > 2 ? [-4, -2, 0, 2, 4] : span > 1 ? [-2, -1, 0, 1, 2] : [-1, -0.5, 0, 0.5, 1];
    for (const power of marks) {
      if (Math.abs(power) > span) continue;
      const at = x(Math.pow(2, power));
      const value = Math.pow(2, power);
      P.add(picture, [svg('line', { x1: at, x2: at, y1: 6, y2: 50, stroke: power ? 'var(--rule)' : 'var(--muted)', 'stroke-dasharray': power ? null : '3 2' }),
        text(at, 64, '\u00d7' + (value >= 10 || Number.isInteger(value) ? value : value.toFixed(2)), { 'text-anchor': 'middle' })]);
    }
    if (typeof it.ratio !== 'number') return picture;
    for (const [old, now] of P.list(measured.rounds)) if (old > 0 && now > 0) picture.append(svg('circle', { cx: inside(now / old), cy: 38, r: 2.4, fill: 'var(--muted)', 'fill-opacity': 0.7 }));
    P.add(picture, [
      svg('line', { x1: inside(low), x2: inside(high), y1: 20, y2: 20, stroke: colour, 'stroke-width': 3 }),
      [low, high].map((value) => svg('line', { x1: inside(value), x2: inside(value), y1: 14, y2: 26, stroke: colour, 'stroke-width': 2 })),
      svg('rect', { x: inside(it.ratio) - 4.5, y: 15.5, width: 9, height: 9, fill: colour, transform: 'rotate(45 ' + inside(it.ratio) + ' 20)' }),
    ]);
    return picture;
  }

  const percent = (part) => (part < 10 ? (part * 100).toFixed(0) + ' %' : 'more than tenfold');
  P.measured = function (all) {
    const most = Math.max(...all.map((it) => {
      const { ratio: mean, interval, resolution } = it.comparison || {};
      return Math.max(...[mean, ...P.list(interval), 1 + Math.min(1, resolution || 0)].filter((one) => one > 0).map((one) => Math.abs(Math.log2(one))), 0);
    }));
    const span = most <= 1 ? 1.1 : most <= 2 ? 2.2 : 4.4;
    return el('div', { class: 'rows' }, all.map((it) => {
      const result = P.compared(it);
      const { from, to, ratio: mean, interval, resolution, n } = it.comparison || {};
      return el('div', { class: 'measured' },
        el('div', {}, el('p', { class: 'what' }, P.sign(result), ' ' + it.name), el('p', {}, P.tag(result.word, result.tone), ' ', P.figure(from, it.unit) + ' \u2192 ' + P.figure(to, it.unit)),
          el('p', { class: 'muted' }, (typeof mean === 'number' ? mean.toFixed(2) + ' times' : '') + (P.list(interval).length === 2 ? ' (' + interval[0].toFixed(2) + ' to ' + interval[1].toFixed(2) + ')' : '') + ', ' + P.plural(n || 0, 'round') + '; ' + (it.more_is_worse ? 'more is worse' : 'less is worse')),
          el('p', { class: 'muted' }, typeof resolution === 'number' ? 'A change of ' + percent(resolution) + ' could have been told.' : '')),
        rounds(it), ratio(it, span));
    }));
  };
})(window.Page = window.Page || {});
