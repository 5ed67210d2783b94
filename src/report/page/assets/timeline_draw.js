// Draws the lanes of a timeline: faults, roles and replids, links, resyncs and restarts, operations.
(function (P) {
  'use strict';
  // Backgrounds of replids; the ink on them is always the same dark one.
  const REPLIDS = ['#a9d3ee', '#f4cf9a', '#b7e0cc', '#d9c7ee', '#f3e58f', '#f2bccb', '#c9cfd6', '#cfe39b'];
  const ON_REPLID = '#15191d';
  P.replidColour = (order) => REPLIDS[order % REPLIDS.length];
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
  P.font = (size, weight) => (weight || 400) + ' ' + size + 'px ' + FONT;

  P.colours = function () {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue('--' + name).trim();
    const all = {};
    for (const name of ['bg', 'panel', 'soft', 'rule', 'ink', 'muted', 'accent', 'broken', 'unsure', 'holds', 'write', 'read', 'not-done', 'not-answered', 'ring', 'link', 'shade']) all[name] = of(name);
    all.dark = document.documentElement.getAttribute('data-theme') === 'dark';
    all.loading = hatch('rgba(' + all.shade + ',.75)', false);
    all.silent = hatch(all.broken, true);
    return all;
  };
  function hatch(colour, crossed) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 6;
    const ctx = tile.getContext('2d');
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.1;
    ctx.beginPath();
    for (const d of [-6, 0, 6]) { ctx.moveTo(d, 6); ctx.lineTo(d + 6, 0); if (crossed) { ctx.moveTo(d, 0); ctx.lineTo(d + 6, 6); } }
    ctx.stroke();
    return ctx.createPattern(tile, 'repeat');
  }

  const short = (name) => { const it = /^([a-z])[a-z]*?(\d+)$/.exec(name); return it ? it[1] + it[2] : name; };

  // --- where everything is -----------------------------------------------------------------------
  P.layout = function (model, width) {
    const narrow = width < 640;
    const left = narrow ? 60 : 112;
    const it = { width, narrow, left, plot: Math.max(60, width - left - 8), lanes: [], faults: [], short: narrow ? short : (name) => name };
    const measure = document.createElement('canvas').getContext('2d');
    measure.font = P.font(11, 600);
    const whole = (t) => left + ((t - model.begin) / (model.end - model.begin)) * it.plot;
    const rows = [];
    for (const fault of model.faults) {
      const text = fault.name + (fault.toothless ? ' (toothless)' : '');
      const wide = measure.measureText(text).width + 8;
      const from = Math.max(4, Math.min(whole(fault.from), left + it.plot - wide));
      const to = Math.max(whole(fault.to), from + wide);
      let row = rows.findIndex((end) => end < from - 2);
      if (row < 0) { row = rows.length; rows.push(0); }
      rows[row] = to;
      it.faults.push({ fault, row, text });
    }
    it.faultTop = 24;
    it.faultHeight = 21;
    let y = it.faultTop + rows.length * it.faultHeight + (rows.length ? 4 : 0);
    for (const lane of model.lanes) {
      const place = { lane, y };
      const strip = lane.keys.has('role') || lane.keys.has('replid') || lane.keys.has('answers') || lane.keys.has('loading');
      let at = y + 5;
      if (strip) { place.strip = at; at += 18; }
      place.lines = [...lane.links.map((name) => ({ key: 'link ' + name, sync: 'sync ' + name, label: (narrow ? '\u2192' : '\u2192 ') + it.short(name) })), ...lane.servers.map((name) => ({ key: 'server ' + name, label: it.short(name) }))];
      for (const line of place.lines) { line.y = at + 4; at += 11; }
      if (lane.ticks.length) { place.ticks = at; at += 14; }
      place.rows = model.ops.rows[lane.index] || 0;
      if (place.rows) { place.ops = at + 2; place.opsHeight = Math.max(16, place.rows * (narrow ? 5 : 5.6)); at += place.opsHeight + 4; }
      if (lane.logs.length) { place.logs = at; at += 6; }
      place.height = Math.max(at + 4 - y, 26);
      it.lanes.push(place);
      y += place.height;
    }
    it.lanesEnd = y;
    it.axis = y;
    it.latency = model.ops.n ? y + 10 : null;
    it.latencyHeight = 120;
    it.height = it.latency === null ? y + 22 : it.latency + it.latencyHeight + 6;
    return it;
  };
  P.toX = (layout, view) => { const scale = layout.plot / (view.to - view.from); return (t) => layout.left + (t - view.from) * scale; };
  P.rowY = (place, row) => place.ops + (row + 0.5) * (place.opsHeight / place.rows);

  // --- time --------------------------------------------------------------------------------------
  function steps(view, plot) {
    const raw = ((view.to - view.from) / plot) * 95;
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 5, 10].map((it) => it * power).find((it) => it >= raw) || power * 10;
    return { step, digits: Math.max(0, -Math.floor(Math.log10(step / 1000) + 1e-9)) };
  }
  function axis(ctx, layout, view, x, c) {
    const { step, digits } = steps(view, layout.plot);
    ctx.font = P.font(11);
    ctx.textBaseline = 'middle';
    ctx.lineWidth = 1;
    ctx.strokeStyle = c.rule;
    ctx.fillStyle = c.muted;
    ctx.beginPath();
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      const at = Math.round(x(t)) + 0.5;
      ctx.moveTo(at, 20);
      ctx.lineTo(at, layout.lanesEnd);
      if (layout.latency !== null) { ctx.moveTo(at, layout.latency); ctx.lineTo(at, layout.latency + layout.latencyHeight); }
      const text = (t / 1000).toFixed(digits).replace('-0', t ? '-0' : '0') + ' s';
      const half = ctx.measureText(text).width / 2;
      const where = Math.max(layout.left + half, Math.min(layout.width - half - 2, at));
      ctx.textAlign = 'center';
      ctx.fillText(text, where, 11);
    }
    ctx.stroke();
  }

  // --- faults ------------------------------------------------------------------------------------
  function faults(ctx, layout, view, x, c) {
    const right = layout.left + layout.plot;
    for (const { fault, row, text } of layout.faults) {
      const from = Math.max(layout.left, x(fault.from));
      const to = Math.min(right, x(fault.to));
      if (to < layout.left || from > right) continue;
      const y = layout.faultTop + row * layout.faultHeight;
      ctx.fillStyle = fault.colour;
      ctx.strokeStyle = fault.colour;
      for (const [a, b, part] of fault.stretches) {
        const l = Math.max(layout.left, x(a));
        const r = Math.min(right, x(b));
        if (r < l || (b <= a && part < 1)) continue;
        ctx.globalAlpha = part === 1 ? 1 : 0.42;
        ctx.fillRect(l, y + 14, Math.max(part === 1 ? 2 : 1, r - l), 5);
        ctx.globalAlpha = (c.dark ? 0.28 : 0.2) * (part === 1 ? 1 : 0.42);
        for (const place of layout.lanes) if (fault.lanes.includes(place.lane.index)) ctx.fillRect(l, place.y + 1, Math.max(1, r - l), place.height - 2);
      }
      ctx.globalAlpha = 1;
      if (fault.toothless) {
        ctx.setLineDash([4, 3]);
        ctx.strokeRect(from + 0.5, y + 14.5, Math.max(3, to - from - 1), 4);
        for (const place of layout.lanes) if (fault.lanes.includes(place.lane.index)) ctx.strokeRect(from + 0.5, place.y + 2.5, Math.max(3, to - from - 1), place.height - 5);
        ctx.setLineDash([]);
      }
      ctx.font = P.font(11, 600);
      ctx.textAlign = 'left';
      ctx.textBaseline = 'middle';
      const room = right - 4;
      let label = text;
      while (label.length > 4 && ctx.measureText(label).width > room) label = label.slice(0, -2).trimEnd() + '\u2026';
      ctx.fillStyle = c.ink;
      ctx.fillText(label, Math.max(4, Math.min(from + 1, right - ctx.measureText(label).width)), y + 7);
    }
  }

  // --- a lane's state ----------------------------------------------------------------------------
  const ROLES = { 'master': 'primary', 'active-replica': 'active replica', 'slave': 'replica' };
  P.roleWord = (role) => ROLES[role] || role;
  function clipped(ctx, text, at, y, room) {
    if (ctx.measureText(text).width <= room) { ctx.fillText(text, at, y); return true; }
    return false;
  }
  function strip(ctx, layout, place, model, view, x, c) {
    const { lane, strip: y } = place;
    const right = layout.left + layout.plot;
    const each = (key, act) => {
      for (const it of lane.keys.get(key) || []) {
        if (it.to < view.from || it.from > view.to) continue;
        act(it, Math.max(layout.left, x(it.from)), Math.min(right, x(it.to)));
      }
    };
    ctx.fillStyle = c.soft;
    ctx.fillRect(layout.left, y, layout.plot, 15);
    each('replid', (it, l, r) => {
      if (it.value === 'gone' || !it.value) return;
      ctx.fillStyle = P.replidColour(model.replids.get(it.value) || 0);
      ctx.fillRect(l, y, Math.max(1, r - l), 15);
    });
    each('role', (it, l, r) => {
      if (it.value !== 'master' && it.value !== 'active-replica') return;
      ctx.fillStyle = ON_REPLID;
      ctx.globalAlpha = 0.55;
      ctx.fillRect(l, y + 13, Math.max(1, r - l), 2);
      ctx.globalAlpha = 1;
    });
    each('loading', (it, l, r) => { if (it.value === 'yes') { ctx.fillStyle = c.dark ? 'rgba(0,0,0,.25)' : 'rgba(255,255,255,.35)'; ctx.fillRect(l, y, Math.max(2, r - l), 15); ctx.fillStyle = c.loading; ctx.fillRect(l, y, Math.max(2, r - l), 15); } });
    each('answers', (it, l, r) => { if (it.value === 'no') { ctx.fillStyle = c.panel; ctx.fillRect(l, y, Math.max(2, r - l), 15); ctx.fillStyle = c.silent; ctx.fillRect(l, y, Math.max(2, r - l), 15); } });
    // Labels: on stretches in which neither role nor replid changes.
    const cuts = new Set([view.from]);
    for (const key of ['role', 'replid', 'answers', 'loading']) for (const it of lane.keys.get(key) || []) if (it.from > view.from && it.from < view.to) cuts.add(it.from);
    const sorted = [...cuts].sort((a, b) => a - b);
    ctx.font = P.font(10.5, 600);
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    sorted.forEach((from, at) => {
      const to = at + 1 < sorted.length ? sorted[at + 1] : view.to;
      const l = Math.max(layout.left, x(from)) + 4;
      const room = Math.min(right, x(to)) - l - 3;
      const value = (key) => P.stateAt(lane, key, from);
      const replid = value('replid') && value('replid') !== 'gone' ? value('replid').slice(0, 4) : '';
      const role = value('role') && value('role') !== 'gone' ? P.roleWord(value('role')) : '';
      const word = value('answers') === 'no' ? 'no answer' : value('loading') === 'yes' ? 'loading' : '';
      const texts = word ? [word] : [[role, replid].filter(Boolean).join(' \u00b7 '), replid];
      for (const text of texts) {
        if (!text || ctx.measureText(text).width > room) continue;
        if (word) {
          ctx.fillStyle = c.panel;
          ctx.fillRect(l - 2, y + 1.5, ctx.measureText(text).width + 4, 12);
        }
        ctx.fillStyle = word === 'no answer' ? c.broken : word || !replid ? c.ink : ON_REPLID;
        clipped(ctx, text, l, y + 7.5, room);
        break;
      }
    });
  }
  const GOOD = new Set(['up', 'UP']);
  function lines(ctx, layout, place, view, x, c) {
    for (const line of place.lines) {
      ctx.font = P.font(10);
      ctx.textAlign = 'right';
      ctx.textBaseline = 'middle';
      ctx.fillStyle = c.muted;
      ctx.fillText(line.label, layout.left - 7, line.y);
      for (const it of place.lane.keys.get(line.key) || []) {
        if (it.to < view.from || it.from > view.to || it.value === 'gone') continue;
        const l = Math.max(layout.left, x(it.from));
        const r = Math.max(l + 1.5, Math.min(layout.left + layout.plot, x(it.to)));
        const good = GOOD.has(it.value.split(' ')[0]);
        const down = /^down|^no$/i.test(it.value);
        ctx.strokeStyle = good ? c.link : down ? c.broken : c.unsure;
        ctx.lineWidth = good ? 2 : 4;
        ctx.setLineDash(good ? [] : down ? [3, 3] : [8, 3]);
        ctx.beginPath();
        ctx.moveTo(l, line.y);
        ctx.lineTo(r, line.y);
        ctx.stroke();
        ctx.setLineDash([]);
        if (!good && r - l > 40) {
          ctx.font = P.font(9.5, 700);
          ctx.textAlign = 'left';
          const wide = ctx.measureText(it.value).width;
          if (wide + 8 < r - l) {
            ctx.fillStyle = c.panel;
            ctx.fillRect(l + 4, line.y - 5, wide + 4, 10);
            ctx.fillStyle = down ? c.broken : c.unsure;
            ctx.fillText(it.value, l + 6, line.y + 0.5);
          }
        }
      }
      for (const it of place.lane.keys.get(line.sync) || []) {
        if (it.value !== 'yes' || it.to < view.from || it.from > view.to) continue;
        const l = Math.max(layout.left, x(it.from));
        ctx.fillStyle = c.unsure;
        const r = Math.max(l + 2, Math.min(layout.left + layout.plot, x(it.to)));
        for (let at = l; at < r; at += 4) ctx.fillRect(at, line.y + 3, Math.min(2, r - at), 2);
      }
    }
  }
  function ticks(ctx, layout, place, view, x, c) {
    const colour = (it) => ({ F: c.broken, R: c.ink, X: c.unsure }[it.letter] || c.accent);
    const seen = place.lane.ticks.filter((it) => it.t >= view.from && it.t <= view.to);
    for (const it of seen) { ctx.fillStyle = colour(it); ctx.fillRect(x(it.t) - 0.75, place.ticks - 1, 1.5, 13); }
    ctx.font = P.font(10, 700);
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    let last = -100;
    for (const it of seen) {
      const at = Math.max(x(it.t) + 2.5, last);
      if (at > x(it.t) + 24) continue;
      ctx.fillStyle = c.panel;
      ctx.fillRect(at - 0.5, place.ticks, 8, 11);
      ctx.fillStyle = colour(it);
      ctx.fillText(it.letter, at, place.ticks + 5.5);
      last = at + 9;
    }
  }

  P.drawLanes = function (ctx, layout, model, view, c) {
    const x = P.toX(layout, view);
    ctx.clearRect(0, 0, layout.width, layout.height);
    ctx.fillStyle = c.panel;
    ctx.fillRect(0, 0, layout.width, layout.height);
    axis(ctx, layout, view, x, c);
    faults(ctx, layout, view, x, c);
    for (const place of layout.lanes) {
      ctx.fillStyle = c.rule;
      ctx.fillRect(0, place.y, layout.width, 1);
      ctx.fillStyle = c.ink;
      ctx.font = P.font(layout.narrow ? 11 : 12.5, 650);
      ctx.textAlign = 'left';
      ctx.textBaseline = 'middle';
      ctx.fillText(place.lane.name, 4, place.y + 13, layout.left - 8);
      if (place.strip) strip(ctx, layout, place, model, view, x, c);
      lines(ctx, layout, place, view, x, c);
      if (place.ticks) ticks(ctx, layout, place, view, x, c);
      if (place.logs) {
        const seen = new Set();
        const { logs, logTimes } = place.lane;
        for (let it = P.lower(logTimes, view.from); it < logs.length && logTimes[it] <= view.to; it++) {
          const line = logs[it];
          const at = Math.round(x(line.t));
          if (seen.has(at) && !line.loud) continue;
          seen.add(at);
          ctx.fillStyle = line.loud ? c.broken : c.muted;
          ctx.globalAlpha = line.loud ? 0.9 : 0.6;
          ctx.fillRect(at, place.logs + (line.loud ? 0 : 1), 1, line.loud ? 5 : 3);
        }
        ctx.globalAlpha = 1;
      }
    }
    ctx.fillStyle = c.rule;
    ctx.fillRect(0, layout.lanesEnd, layout.width, 1);
    const drawn = P.drawOperations(ctx, layout, model, view, x, c);
    if (layout.latency !== null) P.drawLatency(ctx, layout, model, view, x, c);
    return drawn;
  };
})(window.Page = window.Page || {});
