// Draws operations: a mark for each in its lane, by shape and colour; those that a check marks on top.
(function (P) {
  'use strict';
  const crossAt = (ctx, x, y, r) => { ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r); ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r); };
  const triangle = (ctx, x, y, r) => { ctx.moveTo(x - r, y + r * 0.8); ctx.lineTo(x + r, y + r * 0.8); ctx.lineTo(x, y - r); ctx.closePath(); };
  P.shapes = { cross: crossAt, triangle };
  P.drawOperations = function (ctx, layout, model, view, x, c) {
    const ops = model.ops;
    const [first, last] = P.within(ops, view.from, view.to);
    const right = layout.left + layout.plot;
    // A pixel that an acknowledged operation of the same kind has is not drawn again.
    const taken = layout.lanes.map(() => new Uint8Array((layout.plot + 4) * P.ROWS * 2));
    const rare = [];
    let drawn = 0;
    // Where there are few they are drawn larger.
    const few = last - first < 1200;
    const wanted = view.filter.toLowerCase();
    const hidden = view.hidden;
    for (const write of [0, 1]) {
      if (hidden.has(write ? 'writes' : 'reads')) continue;
      ctx.fillStyle = write ? c.write : c.read;
      ctx.globalAlpha = write ? 0.9 : few ? 0.75 : 0.5;
      for (let at = first; at < last; at++) {
        if (ops.write[at] !== write || ops.to[at] < view.from) continue;
        if (wanted && !ops.raw[at][5].toLowerCase().includes(wanted)) continue;
        if (ops.fate[at] !== 0) { if (!hidden.has(P.FATES[ops.fate[at]] ? P.FATES[ops.fate[at]].key : '')) { rare.push(at); drawn += 1; } continue; }
        drawn += 1;
        const place = layout.lanes[ops.lane[at]];
        const l = Math.max(layout.left, x(ops.from[at]));
        const r = Math.min(right, x(ops.to[at]));
        const pixel = (((l - layout.left) | 0) * P.ROWS + ops.row[at]) * 2 + write;
        if (!few && r - l < 2) {
          if (taken[ops.lane[at]][pixel]) continue;
          taken[ops.lane[at]][pixel] = 1;
        }
        const y = P.rowY(place, ops.row[at]);
        const high = (write ? 4 : 2) + (few ? 1 : 0);
        ctx.fillRect(l, y - high / 2, Math.max(few ? 2.5 : 1.5, r - l), high);
      }
    }
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1.6;
    for (const fate of [1, 2]) {
      const colour = fate === 1 ? c['not-done'] : c['not-answered'];
      for (const at of rare) {
        if (ops.fate[at] !== fate) continue;
        const y = P.rowY(layout.lanes[ops.lane[at]], ops.row[at]);
        const l = Math.max(layout.left, x(ops.from[at]));
        const r = Math.min(right, x(ops.to[at]));
        ctx.globalAlpha = ops.write[at] ? 1 : 0.6;
        ctx.strokeStyle = colour;
        ctx.beginPath();
        if (r - l > 5) { ctx.moveTo(l, y); ctx.lineTo(r, y); }
        if (fate === 1) crossAt(ctx, r, y, 3); else triangle(ctx, r, y, 3.6);
        ctx.stroke();
        if (fate === 2) { ctx.fillStyle = c.panel; ctx.fill(); ctx.stroke(); }
      }
    }
    ctx.globalAlpha = 1;
    const marked = model.marked.filter((at) => ops.to[at] >= view.from && ops.from[at] <= view.to);
    const many = marked.length > 120;
    for (const at of marked) {
      const y = P.rowY(layout.lanes[ops.lane[at]], ops.row[at]);
      const at2 = Math.max(layout.left, Math.min(right, (x(ops.from[at]) + x(ops.to[at])) / 2));
      ctx.lineWidth = many ? 2.2 : 3.5;
      ctx.strokeStyle = c.panel;
      ctx.beginPath();
      ctx.arc(at2, y, many ? 3.6 : 6, 0, 7);
      ctx.stroke();
      ctx.lineWidth = many ? 1.2 : 2;
      ctx.strokeStyle = c.ring;
      ctx.stroke();
      ctx.fillStyle = c.ring;
      if (!many) ctx.fillRect(at2 - 1.5, y - 1.5, 3, 3);
    }
    return drawn;
  };
})(window.Page = window.Page || {});
