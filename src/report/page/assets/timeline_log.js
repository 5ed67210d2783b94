// The servers' logs beside a chart, merged by time.
(function (P) {
  'use strict';
  const { el } = P;
  // So many lines are in the page at once; the others are one step away.
  const MOST = 600;
  P.laneTone = (name) => {
    const it = /^(primary|replica|proxy)(\d*)/.exec(name);
    if (!it) return 'lane-x';
    return it[1] === 'proxy' ? 'lane-proxy' : 'lane-' + it[1][0] + (((Number(it[2]) || 1) - 1) % 3 + 1);
  };

  P.LogPane = class {
    constructor(host, model, view) {
      Object.assign(this, { model, view, node: '', words: '', lines: [], start: 0, at: -1, timer: 0 });
      const nodes = [...new Set(model.logs.map((it) => it.lane))].sort((a, b) => a - b);
      const name = (lane) => (model.lanes[lane] ? model.lanes[lane].name : 'other');
      this.search = el('input', { type: 'search', placeholder: 'Search the logs', 'aria-label': 'Search the logs', spellcheck: 'false', autocomplete: 'off', class: 'log-search' });
      const select = el('select', { 'aria-label': 'Node' }, el('option', { value: '' }, 'all nodes'), nodes.map((it) => el('option', { value: it }, name(it))));
      this.count = el('p', { class: 'note log-count', 'aria-live': 'polite' });
      this.box = el('div', { class: 'log-lines', tabindex: '0', role: 'region', 'aria-label': 'Logs, merged by time' });
      this.search.addEventListener('input', () => { this.words = this.search.value.toLowerCase(); this.filter(); });
      select.addEventListener('change', () => { this.node = select.value; this.filter(); });
      this.box.addEventListener('click', (event) => {
        const row = event.target.closest('.log-line');
        if (!row) return;
        const line = this.lines[Number(row.getAttribute('data-at'))];
        if (line && isFinite(line.t)) { this.own = true; view.point(line.t, line.lane < model.lanes.length ? line.lane : undefined); this.own = false; }
      });
      P.add(host, [el('div', { class: 'tools log-tools no-print' }, this.search, select), this.count, this.box]);
      this.filter();
    }
    filter() {
      const { node, words } = this;
      this.lines = this.model.logs.filter((it) => (node === '' || it.lane === Number(node)) && (!words || it.raw.toLowerCase().includes(words)));
      this.times = Float64Array.from(this.lines, (it) => it.t);
      this.follow(true);
    }
    // Shows what belongs to the window or the cursor, without moving the page.
    follow(anew) {
      clearTimeout(this.timer);
      const { view } = this;
      const wanted = view.cursor !== null && view.cursor >= view.from && view.cursor <= view.to ? view.cursor : view.from;
      let at = Math.min(this.lines.length - 1, P.lower(this.times, wanted));
      // With a cursor it is the line that is nearest to it.
      if (view.cursor !== null && at > 0 && wanted - this.times[at - 1] < this.times[at] - wanted) at -= 1;
      if (anew || at < this.start || at >= this.start + MOST || !this.box.childElementCount) this.fill(Math.max(0, at - MOST / 4));
      this.light(view.isWhole() && view.cursor === null ? -1 : at, !this.own);
    }
    fill(start) {
      this.start = Math.floor(start);
      const { lines, model } = this;
      P.clear(this.box);
      const end = Math.min(lines.length, this.start + MOST);
      const step = (to, text) => el('button', { type: 'button', class: 'log-step', on: { click: () => { this.fill(Math.max(0, to)); this.light(-1, false); } } }, text);
      if (this.start > 0) this.box.append(step(this.start - MOST, this.start + ' earlier lines'));
      for (let at = this.start; at < end; at++) {
        const line = lines[at];
        const name = model.lanes[line.lane] ? model.lanes[line.lane].name : 'other';
        this.box.append(el('div', { class: 'log-line' + (line.loud ? ' loud' : ''), 'data-at': at, title: line.raw },
          el('span', { class: 'log-time' }, line.own === null ? '' : (line.t / 1000).toFixed(3)),
          el('span', { class: 'log-name ' + P.laneTone(name) }, name), el('span', { class: 'log-text' }, line.text)));
      }
      if (end < lines.length) this.box.append(step(end, (lines.length - end) + ' later lines'));
      if (!lines.length) this.box.append(el('p', { class: 'empty', style: { padding: '10px' } }, model.logs.length ? 'No line fits.' : 'No logs were kept of this trial.'));
    }
    light(at, scroll) {
      const { view, lines } = this;
      const from = P.lower(this.times, view.from);
      const to = P.lower(this.times, view.to + 1e-6);
      const whole = view.isWhole();
      let target = null;
      for (const row of this.box.children) {
        const index = row.getAttribute('data-at');
        if (index === null) continue;
        row.classList.toggle('inside-window', !whole && Number(index) >= from && Number(index) < to);
        const current = Number(index) === at && view.cursor !== null;
        row.classList.toggle('current', current);
        if (Number(index) === at) target = row;
      }
      this.count.textContent = lines.length === 0 ? '' : P.plural(lines.length, 'line') + (whole ? '' : ', ' + (to - from) + ' in the window');
      if (!scroll) return;
      if (target) this.box.scrollTop += target.getBoundingClientRect().top - this.box.getBoundingClientRect().top - (view.cursor !== null ? 60 : 4);
      else if (whole) this.box.scrollTop = 0;
    }
    later() { clearTimeout(this.timer); this.timer = setTimeout(() => this.follow(false), 120); }
  };
})(window.Page = window.Page || {});
