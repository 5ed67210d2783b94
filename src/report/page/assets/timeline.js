// The timeline of a trial: chart, strip, card, log and lists, and how one moves in it.
(function (P) {
  'use strict';
  const { el } = P;

  function canvasOf(canvas, width, height) {
    const density = Math.min(2, window.devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
      canvas.style.width = width + 'px';
      canvas.style.height = height + 'px';
    }
    const ctx = canvas.getContext('2d');
    ctx.setTransform(density, 0, 0, density, 0, 0);
    return ctx;
  }

  P.Chart = class {
    constructor(host, model, view, title) {
      Object.assign(this, { model, view, hover: null, drag: null, touches: new Map(), drawn: 0, spent: 0, shownWidth: 0 });
      this.strip = el('canvas', { class: 'tl-strip', 'aria-hidden': 'true' });
      this.main = el('canvas', { class: 'tl-main', 'aria-hidden': 'true' });
      this.over = el('canvas', { class: 'tl-over', 'aria-hidden': 'true' });
      this.cardBox = el('div', { class: 'tl-card', hidden: true, 'aria-live': 'polite' });
      this.stage = el('div', { class: 'tl-stage', tabindex: '0', role: 'application', 'aria-roledescription': 'timeline', 'aria-label': this.label(title) }, this.main, this.over, this.cardBox);
      const log = el('aside', { class: 'tl-log', 'aria-label': 'Logs' });
      this.box = el('div', { class: 'tl-chart' }, this.strip, this.stage);
      P.add(host, [el('div', { class: 'tl-grid' }, this.box, log)]);
      this.log = new P.LogPane(log, model, view);
      view.charts.push(this);
      this.listen();
    }
    label(title) {
      const { model } = this;
      return title + ': ' + P.plural(model.lanes.length, 'lane') + ', ' + P.plural(model.ops.n, 'operation') + ', ' + P.plural(model.faults.length, 'fault') + ', ' + P.span(model.end - model.begin) +
        '. Plus, minus and 0 zoom; left and right pan; up and down choose a lane; comma and full stop move the cursor; n and p go to marked operations.';
    }
    draw() {
      const width = Math.floor(this.box.clientWidth);
      if (width < 40) return;
      if (!this.layout || this.layout.width !== width) this.layout = P.layout(this.model, width);
      if (!this.colours) this.colours = P.colours();
      const began = performance.now();
      const ctx = canvasOf(this.main, width, this.layout.height);
      this.drawn = P.drawLanes(ctx, this.layout, this.model, this.view, this.colours);
      P.drawStrip(canvasOf(this.strip, width, P.STRIP), this.layout, this.model, this.view, this.colours);
      this.spent = performance.now() - began;
      this.log.later();
      this.overlay();
    }
    moved() { this.overlay(); this.log.follow(false); }
    x(t) { return P.toX(this.layout, this.view)(t); }
    t(x) { return this.view.from + ((x - this.layout.left) / this.layout.plot) * (this.view.to - this.view.from); }
    placeAt(y) { return this.layout.lanes.find((it) => y >= it.y && y < it.y + it.height); }

    overlay() {
      const { layout, view, colours: c } = this;
      if (!layout) return;
      const ctx = canvasOf(this.over, layout.width, layout.height);
      ctx.clearRect(0, 0, layout.width, layout.height);
      const line = (t, colour, dash) => {
        if (t < view.from || t > view.to) return;
        const at = Math.round(this.x(t)) + 0.5;
        ctx.strokeStyle = colour;
        ctx.lineWidth = 1;
        ctx.setLineDash(dash);
        ctx.beginPath();
        ctx.moveTo(at, 18);
        ctx.lineTo(at, layout.height);
        ctx.stroke();
        ctx.setLineDash([]);
      };
      if (view.cursor !== null) {
        line(view.cursor, c.ink, []);
        const place = layout.lanes[view.lane];
        if (place && view.cursor >= view.from && view.cursor <= view.to) { ctx.fillStyle = c.accent; ctx.fillRect(this.x(view.cursor) - 2, place.y + 2, 5, place.height - 4); }
      }
      if (this.hover) line(this.t(this.hover.x), c.muted, [2, 3]);
      if (this.drag && this.drag.selecting) {
        ctx.fillStyle = c.accent;
        ctx.globalAlpha = 0.18;
        ctx.fillRect(Math.min(this.drag.x, this.drag.now), 18, Math.abs(this.drag.now - this.drag.x), layout.lanesEnd - 18);
        ctx.globalAlpha = 1;
      }
      this.showCard();
    }
    showCard() {
      const { view, layout, model } = this;
      const perPixel = (view.to - view.from) / layout.plot;
      let contents = null;
      let x = 0;
      let y = 0;
      if (this.drag && this.drag.selecting) contents = null;
      else if (this.hover) {
        const place = this.placeAt(this.hover.y);
        if (place && this.hover.x >= layout.left) {
          ({ x, y } = this.hover);
          const inOps = place.ops !== undefined && y >= place.ops - 2;
          contents = P.card(model, view, place.lane.index, this.t(x), perPixel * 4, inOps ? y : -99, place);
        }
      } else if (view.cursor !== null && view.cursor >= view.from && view.cursor <= view.to && layout.lanes[view.lane]) {
        x = this.x(view.cursor);
        y = layout.lanes[view.lane].y + layout.lanes[view.lane].height;
        contents = P.card(model, view, view.lane, view.cursor, perPixel * 4, null, null);
      }
      this.cardBox.hidden = !contents;
      if (!contents) return;
      P.add(P.clear(this.cardBox), contents);
      if (layout.narrow) { this.cardBox.style.left = this.cardBox.style.top = ''; return; }
      const { offsetWidth: wide, offsetHeight: high } = this.cardBox;
      this.cardBox.style.left = Math.max(4, x + 16 + wide > layout.width ? x - wide - 16 : x + 16) + 'px';
      this.cardBox.style.top = Math.max(4, Math.min(y + 14, layout.height - high - 4)) + 'px';
    }

    // --- pointer and keys ------------------------------------------------------------------------
    listen() {
      const { stage, view } = this;
      const where = (event) => { const box = stage.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
      stage.addEventListener('wheel', (event) => {
        const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
        if (!event.ctrlKey && !event.metaKey && !sideways && document.activeElement !== stage) return;
        event.preventDefault();
        if (sideways) view.pan((event.deltaX || event.deltaY) / this.layout.plot);
        else view.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY * (event.deltaMode ? 20 : 1))) * 0.006), this.t(where(event).x));
      }, { passive: false });
      stage.addEventListener('pointerdown', (event) => {
        if (event.button > 0 || !this.layout) return;
        const at = where(event);
        stage.focus({ preventScroll: true });
        try { stage.setPointerCapture(event.pointerId); } catch (error) { /* the pointer is gone already */ }
        if (event.pointerType === 'touch') this.touches.set(event.pointerId, at.x);
        this.drag = { x: at.x, y: at.y, now: at.x, from: view.from, to: view.to, selecting: false, pan: event.pointerType === 'touch' || event.shiftKey || at.x < this.layout.left };
      });
      stage.addEventListener('pointermove', (event) => {
        if (!this.layout) return;
        const at = where(event);
        if (this.touches.has(event.pointerId)) {
          const before = [...this.touches.values()];
          this.touches.set(event.pointerId, at.x);
          const after = [...this.touches.values()];
          if (after.length === 2) {
            const [was, is] = [before, after].map((it) => Math.max(12, Math.abs(it[0] - it[1])));
            this.pinched = true;
            view.zoom(was / is, this.t((after[0] + after[1]) / 2));
            return;
          }
        }
        if (this.drag && !this.pinched) {
          this.drag.now = Math.max(this.layout.left, Math.min(this.layout.left + this.layout.plot, at.x));
          if (this.drag.pan) {
            if (Math.abs(at.x - this.drag.x) > 3) {
              const by = ((this.drag.x - at.x) / this.layout.plot) * (this.drag.to - this.drag.from);
              this.drag.moved = true;
              view.set(this.drag.from + by, this.drag.to + by);
            }
            return;
          }
          if (Math.abs(at.x - this.drag.x) > 4) this.drag.selecting = true;
        }
        this.hover = event.pointerType === 'touch' ? null : at;
        this.later();
      });
      const up = (event, cancelled) => {
        this.touches.delete(event.pointerId);
        const { drag } = this;
        this.drag = null;
        if (this.pinched) { if (!this.touches.size) this.pinched = false; return; }
        if (!drag || cancelled) return;
        if (drag.selecting && Math.abs(drag.now - drag.x) > 5) {
          const [from, to] = [drag.x, drag.now].sort((a, b) => a - b).map((x) => this.t(Math.max(this.layout.left, x)));
          view.set(from, to);
        } else if (!drag.moved && drag.x >= this.layout.left) {
          const place = this.placeAt(drag.y);
          view.point(this.t(drag.x), place ? place.lane.index : view.lane);
        }
      };
      stage.addEventListener('pointerup', (event) => up(event, false));
      stage.addEventListener('pointercancel', (event) => up(event, true));
      stage.addEventListener('pointerleave', () => { this.hover = null; this.later(); });
      stage.addEventListener('keydown', (event) => this.key(event));
      const slide = (event) => {
        if (!this.layout) return;
        const t = view.begin + ((event.clientX - this.strip.getBoundingClientRect().left - this.layout.left) / this.layout.plot) * (view.end - view.begin);
        const half = view.isWhole() ? (view.end - view.begin) / 20 : (view.to - view.from) / 2;
        view.set(t - half, t + half);
      };
      this.strip.addEventListener('pointerdown', (event) => { this.strip.setPointerCapture(event.pointerId); this.sliding = true; slide(event); });
      this.strip.addEventListener('pointermove', (event) => { if (this.sliding) slide(event); });
      for (const end of ['pointerup', 'pointercancel']) this.strip.addEventListener(end, () => { this.sliding = false; });
    }
    later() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.overlay(); });
    }
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { view, model } = this;
      const cursor = view.cursor === null ? (view.from + view.to) / 2 : view.cursor;
      const step = (view.to - view.from) / 100;
      const lane = (by) => { this.hover = null; view.point(cursor, (view.lane + by + model.lanes.length) % Math.max(1, model.lanes.length)); };
      const act = {
        '+': () => view.zoom(0.6), '=': () => view.zoom(0.6), '-': () => view.zoom(1 / 0.6), '0': () => view.whole(),
        ArrowLeft: () => view.pan(-0.12), ArrowRight: () => view.pan(0.12), ArrowUp: () => lane(-1), ArrowDown: () => lane(1),
        ',': () => { this.hover = null; view.point(cursor - step); }, '.': () => { this.hover = null; view.point(cursor + step); },
        'n': () => this.marked(1), 'p': () => this.marked(-1), 'Escape': () => { this.hover = null; view.point(null); },
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    }
    marked(by) {
      const { model, view } = this;
      if (!model.marked.length) return;
      const before = model.marked.indexOf(this.shown);
      const next = before < 0 ? (by > 0 ? 0 : model.marked.length - 1) : (before + by + model.marked.length) % model.marked.length;
      this.show(model.marked[next]);
    }
    show(at) {
      const { model, view } = this;
      const middle = (model.ops.from[at] + model.ops.to[at]) / 2;
      const wide = Math.max((model.ops.to[at] - model.ops.from[at]) * 6, (view.end - view.begin) / 100, 20);
      this.shown = at;
      this.hover = null;
      view.lane = model.ops.lane[at];
      view.show(middle, Math.min(wide, view.end - view.begin));
    }
  };
})(window.Page = window.Page || {});
