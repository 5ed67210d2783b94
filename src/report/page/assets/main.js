// Puts the parts together: tabs, the hash, and the timelines' panel.
(function (P) {
  'use strict';
  const { el } = P;
  let data, panels, view, built;

  // --- the timelines' panel ----------------------------------------------------------------------
  const order = (it) => ['broken', 'inconclusive', 'holds'].indexOf(it.verdict);
  // Timelines by trial: one, or both sides of an upgrade. Of repeated trials each is one of its own.
  function grouped() {
    const groups = [];
    for (const it of P.list(data.timelines)) {
      const pair = it.side && groups.find((group) => group.trial === it.trial && group.all[0].side && !group.all.some((one) => one.side === it.side));
      if (pair) pair.all.push(it); else groups.push({ trial: it.trial, all: [it] });
    }
    for (const group of groups) {
      const same = groups.filter((it) => it.trial === group.trial).length > 1;
      group.name = group.trial + (same && group.all[0].folder ? ' (' + group.all[0].folder + ')' : '');
      group.all.sort((a, b) => (a.side === 'to') - (b.side === 'to'));
      group.worst = group.all.slice().sort((a, b) => order(a) - order(b))[0];
    }
    return groups;
  }
  function chosen(groups) {
    return groups.find((it) => it.trial === P.state.trial || it.all.some((one) => one.folder === P.state.trial)) || (P.state.trial ? null : groups.slice().sort((a, b) => order(a.worst) - order(b.worst))[0]);
  }

  function legend(toggle) {
    const item = (key, word, paint) => {
      const icon = el('canvas', { width: 32, height: 28, style: { width: '16px', height: '14px' }, 'aria-hidden': 'true' });
      const draw = () => {
        const ctx = icon.getContext('2d');
        ctx.setTransform(2, 0, 0, 2, 0, 0);
        ctx.clearRect(0, 0, 16, 14);
        ctx.lineWidth = 1.8;
        paint(ctx, P.colours());
      };
      draw();
      icons.push(draw);
      if (!key) return el('span', { class: 'key' }, icon, word);
      const button = el('button', { type: 'button', class: 'chip tone-accent', 'aria-pressed': 'true', title: 'Show or hide these' }, icon, word);
      button.addEventListener('click', () => button.setAttribute('aria-pressed', String(toggle(key))));
      return button;
    };
    const icons = [];
    P.icons = () => icons.forEach((draw) => draw());
    return el('div', { class: 'chips tl-legend', role: 'group', 'aria-label': 'Legend; the operations can be hidden' },
      item('writes', 'writes', (ctx, c) => { ctx.fillStyle = c.write; ctx.fillRect(2, 5, 12, 5); }),
      item('reads', 'reads', (ctx, c) => { ctx.fillStyle = c.read; ctx.fillRect(2, 6, 12, 2.5); }),
      item('not-done', 'not done', (ctx, c) => { ctx.strokeStyle = c['not-done']; ctx.beginPath(); P.shapes.cross(ctx, 8, 7, 4); ctx.stroke(); }),
      item('not-answered', 'not answered', (ctx, c) => { ctx.strokeStyle = c['not-answered']; ctx.beginPath(); P.shapes.triangle(ctx, 8, 7.5, 4.5); ctx.stroke(); }),
      item(null, 'marked by a check', (ctx, c) => { ctx.strokeStyle = c.ring; ctx.beginPath(); ctx.arc(8, 7, 5, 0, 7); ctx.stroke(); ctx.fillStyle = c.ring; ctx.fillRect(6.7, 5.7, 2.6, 2.6); }),
      item(null, 'link up', (ctx, c) => { ctx.fillStyle = c.link; ctx.fillRect(1, 6, 14, 2); }),
      item(null, 'down', (ctx, c) => { ctx.fillStyle = c.broken; for (const x of [1, 6, 11]) ctx.fillRect(x, 5, 3, 4); }),
      item(null, 'loading', (ctx, c) => { ctx.fillStyle = c.soft; ctx.fillRect(1, 2, 14, 10); ctx.fillStyle = c.loading; ctx.fillRect(1, 2, 14, 10); }),
      item(null, 'no answer', (ctx, c) => { ctx.fillStyle = c.silent; ctx.fillRect(1, 2, 14, 10); }),
      el('span', { class: 'key' }, el('b', {}, 'F P X'), 'full, partial, refused resync'), el('span', { class: 'key' }, el('b', {}, 'R'), 'restart'));
  }

  function timelinePanel() {
    const panel = P.clear(panels.timeline);
    document.body.removeAttribute('data-timeline');
    view = null;
    const groups = grouped();
    if (!groups.length) {
      panel.append(el('p', { class: 'empty' }, 'No timeline was kept in this report. They are kept of trials that record a history.'));
      return;
    }
    const group = chosen(groups);
    const select = el('select', { 'aria-label': 'Trial', class: 'tl-select', on: { change: () => { P.state.trial = groups[select.value].trial; const one = groups[select.value]; if (groups.find((it) => it.trial === one.trial) !== one) P.state.trial = one.all[0].folder; P.state.from = P.state.to = ''; P.toHash(); timelinePanel(); } } },
      group ? null : el('option', { value: '' }, 'choose a trial'),
      groups.map((it, at) => el('option', { value: at, selected: it === group }, P.verdict(it.worst.verdict).sign + ' ' + it.name)));
    const bar = el('div', { class: 'tools' }, select);
    panel.append(bar);
    if (!group) {
      panel.append(el('p', { class: 'empty' }, (P.list(data.timelines_left_out).includes(P.state.trial) ? 'For size this page is without the timeline of the trial ' : 'No timeline was kept of the trial ') + P.state.trial + '.'));
      return;
    }
    const models = group.all.map((it) => built.get(it) || (built.set(it, P.prepare(it)), built.get(it)));
    view = new P.View(Math.min(...models.map((it) => it.begin)), Math.max(...models.map((it) => it.end)), changed);
    const mine = view;
    const button = (text, title, act) => el('button', { type: 'button', title, 'aria-label': title, on: { click: act } }, text);
    const only = el('input', { type: 'search', class: 'tl-only', placeholder: 'Only operations with \u2026', 'aria-label': 'Only operations whose text has this', spellcheck: 'false', autocomplete: 'off' });
    only.addEventListener('input', () => { mine.filter = only.value.trim(); mine.draw(); });
    mine.window = el('span', { class: 'tl-window muted' });
    P.add(bar, [el('div', { class: 'chips no-print' }, button('\u2212', 'Zoom out (-)', () => mine.zoom(1 / 0.6)), button('+', 'Zoom in (+)', () => mine.zoom(0.6)), button('0', 'Show the whole time (0)', () => mine.whole())), only, mine.window]);
    const any = models.some((it) => it.ops.n);
    only.hidden = !any;
    if (models.some((it) => !it.bare)) panel.append(legend((key) => { const shown = mine.hidden.delete(key) || (mine.hidden.add(key), false); mine.draw(); return shown; }));
    panel.append(P.fold('How to read it', () => el('ul', { class: 'note', style: { 'padding-left': '18px' } }, [
      'The strip of a node has its role and the first digits of its replid; nodes with the same replid have the same colour. Hatched: it loads, or does not answer.',
      'Below it a thin line for each replication link, or for each server as the proxy has it: broken where it is down, with dots below while a resync runs.',
      'Bands are faults, on the lanes that they strike: dark while a fault bites, pale from its injection until then, and while it heals; a dashed outline if it was toothless.',
      'Each operation is a mark from its invocation to its completion, in a row for each client. Small ticks at the foot of a lane are lines of its log, warnings in red.',
      'Drag to select a stretch of time; the wheel zooms once the chart has the focus, or with Ctrl; Shift drags and pans. Two fingers zoom, one pans. Click for the state at that time.',
    ].map((text) => el('li', {}, text)))));
    P.sameDecades(models);
    const below = [];
    group.all.forEach((it, at) => {
      const model = models[at];
      const side = { from: 'old release', to: 'new release' }[it.side] || '';
      const names = data.upgrade ? { from: data.upgrade.from, to: data.upgrade.to }[it.side] : null;
      const verdict = P.verdict(it.verdict);
      const section = el('section', { class: 'tl', 'aria-label': it.trial + ' ' + side });
      const facts = [[model.ops.n, 'operation'], [model.faults.length, 'fault'], [model.marked.length, 'marked operation'], [model.logs.length, 'log line']].filter(([n]) => n).map(([n, what]) => P.plural(n, what));
      facts.push(P.span(model.end - model.begin));
      if (it.left_out) facts.push(it.left_out.toLocaleString('en') + ' operations were left out for size');
      P.add(section, [el('h2', { class: 'tl-title' }, P.sign(verdict), it.trial, side ? el('span', { class: 'muted' }, side + (names && names.keydb ? ', KeyDB ' + names.keydb.version : '')) : null,
        P.tag(verdict.word, verdict.tone), el('span', { class: 'tl-facts' }, facts.join(', '))),
      model.ops.n ? null : el('p', { class: 'note' }, 'No operations were recorded: the lanes show ' + (model.bare ? 'the logs alone.' : 'what servers showed, and the logs.'))]);
      const chart = new P.Chart(section, model, mine, it.trial + (side ? ', ' + side : ''));
      const files = P.list(it.files);
      panel.append(section);
      const lists = el('section', { class: 'tl' }, [
        el('h3', {}, 'Marked operations' + (group.all.length > 1 && side ? ', ' + side : '')), P.markedList(model, mine, (op) => { chart.show(op); chart.stage.focus({ preventScroll: true }); chart.stage.scrollIntoView({ block: 'start' }); }),
        P.fold('Events (' + model.events.length + ')', () => P.eventList(model, (t, lane) => { chart.hover = null; mine.point(t, lane); })),
        files.length ? el('p', { class: 'note tl-files' }, 'Kept beside this page: ', files.map((name, n) => [n ? ', ' : '', el('a', { href: [it.folder, name].join('/').split('/').map(encodeURIComponent).join('/') }, name)])) : null,
      ]);
      below.push(lists);
    });
    P.add(panel, below);
    const left = P.list(data.timelines_left_out);
    if (left.length) panel.append(el('p', { class: 'note' }, 'For size this page is without the timelines of ' + left.join(', ') + '.'));
    const [from, to] = [parseFloat(P.state.from), parseFloat(P.state.to)];
    if (isFinite(from) && isFinite(to) && to > from) mine.set(from, to);
    mine.drawNow();
    document.body.setAttribute('data-timeline', group.trial);
  }

  let timer = 0;
  function changed(it) {
    if (it !== view) return;
    const sum = (key) => it.charts.reduce((all, chart) => all + chart[key], 0);
    document.body.setAttribute('data-operations-drawn', String(sum('drawn')));
    document.body.setAttribute('data-draw-ms', sum('spent').toFixed(1));
    const digits = it.to - it.from < 50 ? 4 : 3;
    it.window.textContent = P.at(it.from, digits) + ' to ' + P.at(it.to, digits) + (it.isWhole() ? '' : ' (' + P.span(it.to - it.from) + ')');
    const whole = it.isWhole();
    P.state.from = whole ? '' : it.from.toFixed(2);
    P.state.to = whole ? '' : it.to.toFixed(2);
    clearTimeout(timer);
    timer = setTimeout(P.toHash, 150);
  }

  // --- tabs --------------------------------------------------------------------------------------
  const TABS = [
    ['upgrade', 'Upgrade', () => 0], ['trials', 'Trials', (it) => P.trials.count(it)],
    ['timeline', 'Timeline', (it) => P.list(it.timelines).length], ['matrices', 'Matrices', (it) => P.matrices.count(it)],
  ];
  const shownTabs = () => TABS.filter(([key]) => key !== 'upgrade' || data.upgrade || data.kind === 'upgrade');
  function tabs() {
    const bar = document.getElementById('tabs');
    panels = {};
    for (const [key, word, count] of shownTabs()) {
      const n = count(data);
      bar.append(el('button', { type: 'button', role: 'tab', id: 'tab-' + key, 'aria-controls': 'panel-' + key, on: { click: () => P.go(key) } }, word, n ? el('span', { class: 'n' }, n) : null));
      panels[key] = el('section', { class: 'panel', role: 'tabpanel', id: 'panel-' + key, 'aria-labelledby': 'tab-' + key, hidden: true });
      document.getElementById('panels').append(panels[key]);
    }
    bar.addEventListener('keydown', (event) => {
      const all = [...bar.children];
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
      next.focus();
      next.click();
    });
  }
  const fill = { trials: false, matrices: false, upgrade: false };
  function render() {
    if (!panels[P.state.view]) P.state.view = shownTabs()[0][0];
    const current = P.state.view;
    for (const [key] of shownTabs()) {
      panels[key].hidden = key !== current;
      const tab = document.getElementById('tab-' + key);
      tab.setAttribute('aria-selected', String(key === current));
      tab.setAttribute('tabindex', key === current ? '0' : '-1');
    }
    if (!fill.trials) { fill.trials = true; P.trials.build(panels.trials, data); }
    P.trials.render(current === 'trials');
    if (current === 'timeline') timelinePanel();
    else for (const name of ['data-timeline', 'data-operations-drawn', 'data-draw-ms']) document.body.removeAttribute(name);
    if (current === 'matrices' && !fill.matrices) { fill.matrices = true; P.matrices.build(panels.matrices, data); }
    if (current === 'upgrade') { if (!fill.upgrade) { fill.upgrade = true; P.upgrade.build(panels.upgrade, data); } P.upgrade.render(); }
    P.toHash();
    if (current === 'trials' && P.state.trial && data.results) P.trials.reveal(P.state.trial);
  }
  P.go = function (to) { P.state.view = to; render(); };

  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const field = panels[P.state.view] && panels[P.state.view].querySelector(P.state.view === 'timeline' ? '.log-search' : 'input[type="search"]');
      if (!field && data.results) P.go('trials');
      const target = field || document.getElementById('search');
      if (!target) return;
      event.preventDefault();
      target.focus();
      target.select();
    } else if (event.key === 'Escape' && typing && event.target.type === 'search') {
      if (event.target.value) { event.target.value = ''; event.target.dispatchEvent(new Event('input')); } else event.target.blur();
      event.preventDefault();
    } else if (event.key === 'Escape' && view && view.cursor !== null) view.point(null);
  });
  window.addEventListener('hashchange', () => { P.fromHash(); if (P.state.theme) P.theme(P.state.theme); render(); });
  let resizing = 0;
  window.addEventListener('resize', () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(() => { if (view && P.state.view === 'timeline') view.draw(); }); });
  P.repaint.push(() => {
    if (!view) return;
    if (P.icons) P.icons();
    view.charts.forEach((it) => { it.colours = null; });
    view.drawNow();
  });

  document.getElementById('skip').addEventListener('click', (event) => { event.preventDefault(); document.getElementById('panels').focus(); });
  data = P.read();
  built = new Map();
  P.fromHash();
  P.theme(P.state.theme);
  if (!P.state.view && data.kind === 'upgrade') P.state.view = 'upgrade';
  P.overview(data);
  tabs();
  P.foot(data);
  render();
  document.body.setAttribute('data-ready', 'yes');
})(window.Page = window.Page || {});
