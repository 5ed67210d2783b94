// A timeline, made ready for drawing: stretches of time by lane and key, ticks, operations in typed
// arrays, faults with their phases; and the view of it, which several charts may share.
(function (P) {
  'use strict';
  P.FATES = [
    { key: 'acknowledged', word: 'acknowledged' },
    { key: 'not-done', word: 'not done' },
    { key: 'not-answered', word: 'not answered' },
  ];
  const COLOUR = /^#[0-9a-fA-F]{6}$/;
  const number = (it, otherwise) => (typeof it === 'number' && isFinite(it) ? it : otherwise);
  // How many rows the operations of a lane take: one for each client, round again if there are more.
  P.ROWS = 7;

  function lanes(raw) {
    const all = P.list(raw.lanes).map((name, index) => ({ name: String(name), index, keys: new Map(), ticks: [], logs: [], links: [], servers: [], groups: [] }));
    const open = all.map(() => new Map());
    const counters = all.map(() => new Map());
    for (const [t, at, key, value] of P.list(raw.states)) {
      const lane = all[at];
      if (!lane) continue;
      if (key === 'sync_full' || key === 'sync_partial_ok' || key === 'sync_partial_err') {
        const now = Number(value);
        const before = counters[at].get(key);
        if (before !== undefined && now > before) {
          const [letter, what] = { sync_full: ['F', 'full resync'], sync_partial_ok: ['P', 'partial resync'], sync_partial_err: ['X', 'partial resync refused'] }[key];
          lane.ticks.push({ t, letter, says: what + (now - before > 1 ? ' (' + (now - before) + ' at once)' : '') + ' served' });
        }
        if (isFinite(now) && value !== 'gone') counters[at].set(key, now);
        continue;
      }
      if (!lane.keys.has(key)) lane.keys.set(key, []);
      const stretches = lane.keys.get(key);
      const last = open[at].get(key);
      if (last && last.value === value) continue;
      if (last) last.to = t;
      if (key === 'run' && value !== 'gone') {
        const earlier = stretches.filter((it) => it.value !== 'gone').pop();
        if (earlier && earlier.value !== value) {
          lane.ticks.push({ t, letter: 'R', says: 'restarted: another process answers' });
          counters[at].clear();
        }
      }
      const stretch = { from: t, to: Infinity, value: String(value) };
      stretches.push(stretch);
      open[at].set(key, stretch);
    }
    for (const lane of all) {
      for (const key of lane.keys.keys()) {
        if (key.startsWith('link ')) lane.links.push(key.slice(5));
        if (key.startsWith('server ')) lane.servers.push(key.slice(7));
      }
    }
    return all;
  }

  // Equal replids get equal colours, in the order in which they turn up.
  function replids(all) {
    const first = [];
    for (const lane of all) for (const it of lane.keys.get('replid') || []) if (it.value !== 'gone' && it.value !== '') first.push(it);
    first.sort((a, b) => a.from - b.from);
    const order = new Map();
    for (const it of first) if (!order.has(it.value)) order.set(it.value, order.size);
    return order;
  }

  function faults(raw, end) {
    return P.list(raw.faults).map((it) => {
      const phases = P.list(it.phases).map(([t, phase, seen]) => ({ t, phase, seen: seen || '' })).sort((a, b) => a.t - b.t);
      const when = (name) => { const found = phases.find((phase) => phase.phase === name); return found ? found.t : null; };
      const from = phases.length ? phases[0].t : 0;
      const healed = when('healed');
      const toothless = when('toothless') !== null && when('bites') === null;
      const marks = { injected: when('injected') === null ? from : when('injected'), bites: when('bites'), recovering: when('recovering'), healed };
      const to = healed !== null ? healed : end;
      const stretches = [];
      if (!toothless) {
        const bites = marks.bites === null ? (marks.recovering === null ? to : marks.recovering) : marks.bites;
        const recovering = marks.recovering === null ? to : marks.recovering;
        stretches.push([marks.injected, bites, 0.4], [bites, recovering, 1], [recovering, to, 0.4]);
      }
      return { name: String(it.name || 'fault'), kind: it.kind || '', colour: COLOUR.test(it.colour) ? it.colour : '#8c510a', lanes: P.list(it.lanes), phases, from, to, toothless, ended: healed !== null, stretches };
    });
  }

  function operations(raw, laneCount) {
    const all = laneCount ? P.list(raw.operations).slice().sort((a, b) => a[0] - b[0]) : [];
    const n = all.length;
    const it = {
      n, raw: all, from: new Float64Array(n), to: new Float64Array(n), reach: new Float64Array(n), lane: new Uint8Array(n),
      row: new Uint8Array(n), fate: new Uint8Array(n), write: new Uint8Array(n), mark: new Int32Array(n), rows: new Uint8Array(laneCount),
    };
    const clients = new Map();
    let reach = -Infinity;
    all.forEach((op, at) => {
      it.from[at] = op[0];
      it.to[at] = Math.max(op[0], number(op[1], op[0]));
      reach = Math.max(reach, it.to[at]);
      it.reach[at] = reach;
      it.lane[at] = Math.max(0, Math.min(laneCount - 1, op[2]));
      const client = op[2] + '/' + op[3];
      if (!clients.has(op[2])) clients.set(op[2], 0);
      if (!clients.has(client)) { clients.set(client, clients.get(op[2])); clients.set(op[2], clients.get(op[2]) + 1); }
      it.row[at] = clients.get(client) % P.ROWS;
      it.rows[it.lane[at]] = Math.max(it.rows[it.lane[at]], it.row[at] + 1);
      it.fate[at] = op[6];
      it.write[at] = op[8] ? 1 : 0;
      it.mark[at] = number(op[9], -1);
    });
    return it;
  }
  // The first position in a sorted array at which it is at least so much.
  P.lower = function (array, value) {
    let low = 0;
    let high = array.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (array[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };
  // The operations that may be seen from here to there: positions first, and one behind the last.
  P.within = (ops, from, to) => [P.lower(ops.reach, from), P.lower(ops.from, to)];

  // Lines without a time belong to the line before them on the same node.
  function logs(raw) {
    const last = new Map();
    const all = P.list(raw.logs).map(([t, lane, line], order) => {
      const own = number(t, null);
      if (own !== null) last.set(lane, own);
      const said = /^(\d+(?::\d+)?:([A-Z])) \d{1,2} \w{3} \d{4} [\d:.]+ ([.\-*#]) (.*)$/.exec(line) || /^\[?[A-Z]+\]?\s+\(\d+\) : ()()()(.*)$/.exec(line);
      return { t: own !== null ? own : last.has(lane) ? last.get(lane) : -Infinity, own, lane, raw: String(line), text: said ? said[4] : String(line), loud: said ? said[3] === '#' : /\b(ALERT|EMERG|WARNING)\b/.test(line), order };
    });
    return all.sort((a, b) => a.t - b.t || a.order - b.order);
  }

  P.prepare = function (raw) {
    const all = lanes(raw);
    const ops = operations(raw, all.length);
    const lines = logs(raw);
    let end = number(raw.length, 0);
    if (ops.n) end = Math.max(end, ops.reach[ops.n - 1]);
    for (const lane of all) for (const stretches of lane.keys.values()) for (const it of stretches) end = Math.max(end, it.from);
    for (const it of P.list(raw.faults)) for (const [t] of P.list(it.phases)) end = Math.max(end, t);
    let begin = 0;
    const bare = !ops.n && !P.list(raw.states).length;
    for (const line of lines) {
      if (line.own === null) continue;
      if (bare) { begin = Math.min(begin, line.t); end = Math.max(end, line.t); }
      if (all[line.lane]) all[line.lane].logs.push(line);
    }
    if (end <= begin) end = begin + 1000;
    for (const lane of all) lane.logTimes = Float64Array.from(lane.logs, (it) => it.t);
    for (const lane of all) for (const stretches of lane.keys.values()) for (const it of stretches) if (it.to === Infinity) it.to = end;
    const marks = P.list(raw.marks).map((it) => ({ check: it.check || '', promise: it.promise || '', evidence: it.evidence || '', state: it.state || '', operations: [] }));
    const marked = [];
    for (let at = 0; at < ops.n; at++) if (ops.mark[at] >= 0) { marked.push(at); if (marks[ops.mark[at]]) marks[ops.mark[at]].operations.push(at); }
    const model = { raw, trial: raw.trial, lanes: all, ops, logs: lines, begin, end, marks, marked, faults: faults(raw, end), replids: replids(all), gap: Array.isArray(raw.gap) ? { from: raw.gap[0], to: raw.gap[1] } : null, bare };
    model.events = events(model);
    return model;
  };

  // What happened, for a list: phases of faults, ticks, and what servers showed anew.
  function events(model) {
    const all = [];
    for (const fault of model.faults) for (const it of fault.phases) all.push({ t: it.t, who: fault.name, what: it.phase + (it.seen ? ': ' + it.seen : ''), colour: fault.colour });
    for (const lane of model.lanes) {
      for (const tick of lane.ticks) all.push({ t: tick.t, who: lane.name, what: tick.says, lane: lane.index });
      for (const [key, stretches] of lane.keys) {
        if (key === 'run') continue;
        stretches.forEach((it, at) => {
          if (!at) return;
          const name = key === 'replid' ? 'replid ' + it.value.slice(0, 8) : key + ' ' + it.value;
          all.push({ t: it.from, who: lane.name, what: name, lane: lane.index });
        });
      }
    }
    return all.sort((a, b) => a.t - b.t);
  }

  P.stateAt = function (lane, key, t) {
    const found = (lane.keys.get(key) || []).find((it) => it.from <= t && t < it.to);
    return found ? found.value : null;
  };

  // --- the view ----------------------------------------------------------------------------------
  P.View = class {
    constructor(begin, end, changed) {
      Object.assign(this, { begin, end, from: begin, to: end, cursor: null, lane: 0, charts: [], changed, filter: '', hidden: new Set() });
      this.least = Math.min(0.5, (end - begin) / 4);
      this.waiting = false;
    }
    isWhole() { return this.from <= this.begin && this.to >= this.end; }
    set(from, to) {
      let wide = Math.max(this.least, Math.min(to - from, this.end - this.begin));
      if (!isFinite(wide)) wide = this.end - this.begin;
      this.from = Math.max(this.begin, Math.min(from, this.end - wide));
      this.to = this.from + wide;
      this.draw();
    }
    whole() { this.set(this.begin, this.end); }
    zoom(factor, about) {
      const at = about === undefined ? (this.cursor !== null && this.cursor >= this.from && this.cursor <= this.to ? this.cursor : (this.from + this.to) / 2) : about;
      const wide = Math.max(this.least, Math.min((this.to - this.from) * factor, this.end - this.begin));
      const part = (at - this.from) / (this.to - this.from);
      this.set(at - part * wide, at - part * wide + wide);
    }
    pan(part) { const by = (this.to - this.from) * part; this.set(this.from + by, this.to + by); }
    show(t, wide) { const width = wide || Math.min(this.to - this.from, (this.end - this.begin) / 20); this.cursor = t; this.set(t - width / 2, t + width / 2); }
    point(t, lane) {
      this.cursor = t === null ? null : Math.max(this.begin, Math.min(this.end, t));
      if (lane !== undefined) this.lane = lane;
      if (t !== null && (this.cursor < this.from || this.cursor > this.to)) { const wide = this.to - this.from; this.set(this.cursor - wide / 2, this.cursor + wide / 2); } else this.charts.forEach((it) => it.moved());
    }
    // Several changes before the next frame are drawn at once.
    draw() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.drawNow(); });
    }
    drawNow() {
      this.charts.forEach((it) => it.draw());
      this.changed(this);
    }
  };
})(window.Page = window.Page || {});
