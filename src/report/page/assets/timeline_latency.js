// Below the lanes: the latency of acknowledged operations over time; above them: the overview strip.
(function (P) {
  'use strict';
  const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];

  function buckets(ops, view, n, write) {
    const all = Array.from({ length: n }, () => []);
    const scale = n / (view.to - view.from);
    const [first, last] = P.within(ops, view.from, view.to);
    for (let it = first; it < last; it++) {
      // A message that was heard took no time.
      if (ops.fate[it] !== 0 || ops.write[it] !== write || ops.to[it] <= ops.from[it]) continue;
      const where = Math.floor((ops.to[it] - view.from) * scale);
      if (where >= 0 && where < n) all[where].push(ops.to[it] - ops.from[it]);
    }
    return all.map((values) => {
      if (!values.length) return null;
      values.sort((a, b) => a - b);
      return { p50: Math.max(0.01, at(values, 0.5)), p99: Math.max(0.01, at(values, 0.99)) };
    });
  }
  // Decades that hold all acknowledged operations, whatever is in view: the scale stays when one zooms.
  function decades(model) {
    if (model.decades) return model.decades;
    let low = Infinity;
    let high = 0;
    const ops = model.ops;
    for (let it = 0; it < ops.n; it++) if (ops.fate[it] === 0 && ops.to[it] > ops.from[it]) { const ms = Math.max(0.01, ops.to[it] - ops.from[it]); low = Math.min(low, ms); high = Math.max(high, ms); }
    if (!high) return (model.decades = null);
    const from = Math.floor(Math.log10(low) + 1e-9);
    return (model.decades = [from, Math.max(from + 1, Math.ceil(Math.log10(high) - 1e-9))]);
  }
  // Charts that are compared have one scale.
  P.sameDecades = function (models) {
    const all = models.map(decades).filter(Boolean);
    if (!all.length) return;
    const both = [Math.min(...all.map((it) => it[0])), Math.max(...all.map((it) => it[1]))];
    for (const model of models) if (model.decades) model.decades = both;
  };
  const decade = (power) => (power >= 3 ? Math.pow(10, power - 3) + ' s' : power >= 0 ? Math.pow(10, power) + ' ms' : Math.pow(10, power + 3) + ' \u00b5s');

  P.drawLatency = function (ctx, layout, model, view, x, c) {
    const top = layout.latency;
    const high = layout.latencyHeight;
    const range = decades(model);
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    ctx.font = P.font(layout.narrow ? 11 : 12.5, 650);
    ctx.fillStyle = c.ink;
    ctx.fillText('latency', 4, top + 8);
    ctx.strokeStyle = c.rule;
    ctx.lineWidth = 1;
    ctx.strokeRect(layout.left + 0.5, top + 0.5, layout.plot - 1, high - 1);
    ctx.font = P.font(10);
    if (!range) {
      ctx.fillStyle = c.muted;
      ctx.fillText('no acknowledged operation', layout.left + 8, top + high / 2);
      return;
    }
    const y = (ms) => top + high - 4 - ((Math.log10(ms) - range[0]) / (range[1] - range[0])) * (high - 22);
    ctx.beginPath();
    for (let power = range[0]; power <= range[1]; power++) {
      const where = Math.round(y(Math.pow(10, power))) + 0.5;
      ctx.moveTo(layout.left, where);
      ctx.lineTo(layout.left + layout.plot, where);
      ctx.fillStyle = c.muted;
      ctx.textAlign = 'right';
      ctx.fillText(decade(power), layout.left - 6, where);
    }
    ctx.stroke();
    const label = gap(ctx, layout, model, view, x, c, top, high);
    const n = Math.max(10, Math.floor(layout.plot / 6));
    const middle = (it) => layout.left + ((it + 0.5) / n) * layout.plot;
    for (const [write, colour] of [[0, c.read], [1, c.write]]) {
      if (view.hidden.has(write ? 'writes' : 'reads')) continue;
      const all = buckets(model.ops, view, n, write);
      for (const [part, dash, wide] of [['p99', [3, 2], 1], ['p50', [], 1.8]]) {
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.lineWidth = wide;
        ctx.setLineDash(dash);
        ctx.beginPath();
        let pen = false;
        let empty = 0;
        const wideGap = Math.max(2, Math.ceil(n / 40));
        all.forEach((it, where) => {
          if (!it) { empty += 1; if (empty > wideGap) pen = false; return; }
          empty = 0;
          if (pen) ctx.lineTo(middle(where), y(it[part])); else ctx.moveTo(middle(where), y(it[part]));
          pen = true;
        });
        ctx.stroke();
        ctx.setLineDash([]);
        if (part === 'p50') all.forEach((it, where) => { if (it && !all[where - 1] && !all[where + 1]) ctx.fillRect(middle(where) - 1.5, y(it[part]) - 1.5, 3, 3); });
      }
    }
    legend(ctx, layout, c, top);
    // Above the lines.
    if (label) label();
  };
  function legend(ctx, layout, c, top) {
    ctx.font = P.font(10.5);
    ctx.textAlign = 'left';
    let left = layout.left + 6;
    for (const [text, colour, dash] of [['writes p50', c.write, []], ['p99', c.write, [3, 2]], ['reads p50', c.read, []], ['p99', c.read, [3, 2]]]) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = dash.length ? 1.2 : 2;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(left, top + 8.5);
      ctx.lineTo(left + 14, top + 8.5);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = c.muted;
      ctx.fillText(text, left + 18, top + 9);
      left += 28 + ctx.measureText(text).width;
    }
    layout.legendEnd = left;
  }
  function gap(ctx, layout, model, view, x, c, top, high) {
    const it = model.gap;
    if (!it || it.to < view.from || it.from > view.to) return null;
    const l = Math.max(layout.left, x(it.from));
    const r = Math.min(layout.left + layout.plot, x(it.to));
    ctx.fillStyle = c['not-answered'];
    ctx.globalAlpha = 0.14;
    ctx.fillRect(l, top + 1, Math.max(2, r - l), high - 2);
    ctx.globalAlpha = 1;
    ctx.fillRect(l, top + high - 3, Math.max(2, r - l), 3);
    const text = (layout.narrow ? 'longest write gap ' : 'longest gap without an acknowledged write: ') + P.span(it.to - it.from);
    ctx.font = P.font(10.5, 600);
    const wide = ctx.measureText(text).width;
    const where = Math.max(layout.left + 4, Math.min(layout.left + layout.plot - wide - 6, (l + r) / 2 - wide / 2));
    return () => {
      ctx.font = P.font(10.5, 600);
      ctx.fillStyle = c.panel;
      ctx.fillRect(where - 3, top + high - 19, wide + 6, 14);
      ctx.fillStyle = c['not-answered'];
      ctx.textAlign = 'left';
      ctx.fillText(text, where, top + high - 12);
    };
  }

  // --- the strip ---------------------------------------------------------------------------------
  P.STRIP = 44;
  P.drawStrip = function (ctx, layout, model, view, c) {
    const height = P.STRIP;
    ctx.clearRect(0, 0, layout.width, height);
    ctx.fillStyle = c.panel;
    ctx.fillRect(0, 0, layout.width, height);
    const x = (t) => layout.left + ((t - view.begin) / (view.end - view.begin)) * layout.plot;
    ctx.fillStyle = c.soft;
    ctx.fillRect(layout.left, 0, layout.plot, height);
    if (!model.density || model.density.plot !== layout.plot) {
      const n = Math.max(20, Math.floor(layout.plot / 3));
      const counts = new Float64Array(n);
      const bad = new Float64Array(n);
      const put = (t, to) => { const it = Math.floor(((t - view.begin) / (view.end - view.begin)) * n); if (it >= 0 && it < n) to[it] += 1; };
      for (let it = 0; it < model.ops.n; it++) { put(model.ops.from[it], counts); if (model.ops.fate[it]) put(model.ops.to[it], bad); }
      if (!model.ops.n) for (const line of model.logs) if (line.own !== null) put(line.t, counts);
      model.density = { plot: layout.plot, n, counts, bad, most: Math.max(1, ...counts) };
    }
    const { n, counts, bad, most } = model.density;
    const wide = layout.plot / n;
    for (let it = 0; it < n; it++) {
      if (counts[it]) {
        const high = Math.max(1, (counts[it] / most) * 24);
        ctx.fillStyle = c.read;
        ctx.fillRect(layout.left + it * wide, 34 - high, Math.max(1, wide - 0.5), high);
      }
      if (bad[it]) { ctx.fillStyle = c['not-answered']; ctx.fillRect(layout.left + it * wide, 5, Math.max(2, wide), 4); }
    }
    for (const fault of model.faults) {
      ctx.fillStyle = fault.colour;
      ctx.globalAlpha = fault.toothless ? 0.4 : 1;
      ctx.fillRect(x(fault.from), 36, Math.max(2, x(fault.to) - x(fault.from)), 5);
      ctx.globalAlpha = 1;
    }
    ctx.fillStyle = c.ring;
    for (const it of model.marked) ctx.fillRect(x(model.ops.from[it]) - 1, 0, 2, 5);
    ctx.fillStyle = c.dark ? 'rgba(0,0,0,.5)' : 'rgba(255,255,255,.62)';
    const l = x(view.from);
    const r = x(view.to);
    ctx.fillRect(layout.left, 0, l - layout.left, height);
    ctx.fillRect(r, 0, layout.left + layout.plot - r, height);
    ctx.strokeStyle = c.accent;
    ctx.lineWidth = 2;
    ctx.strokeRect(l + 1, 1, Math.max(2, r - l - 2), height - 2);
    ctx.font = P.font(10);
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = c.muted;
    ctx.fillText('overview', 4, height / 2, layout.left - 8);
  };
})(window.Page = window.Page || {});
