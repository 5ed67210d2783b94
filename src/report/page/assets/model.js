// What every part of the page uses: the data, elements, words for numbers, and the state in the hash.
(function (P) {
  'use strict';

  // The seed has up to 64 bits, more than a number of this language: it is read as text.
  P.read = function () {
    const text = document.getElementById('data').textContent;
    return JSON.parse(text.replace(/"seed"\s*:\s*(\d+)/g, '"seed":"$1"'));
  };

  // An element. Everything goes in as text or attribute, never as markup.
  P.el = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === 'on') {
        for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
      } else if (name === 'style') {
        for (const [property, it] of Object.entries(value)) element.style.setProperty(property, it);
      } else {
        element.setAttribute(name, value === true ? '' : String(value));
      }
    }
    P.add(element, children);
    return element;
  };
  P.add = function (element, children) {
    for (const child of children.flat(3)) {
      if (child === null || child === undefined || child === false || child === '') continue;
      element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return element;
  };
  P.svg = function (tag, attributes, ...children) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) element.setAttribute(name, String(value));
    }
    return P.add(element, children);
  };
  P.clear = (element) => { element.textContent = ''; return element; };
  P.list = (value) => (Array.isArray(value) ? value : []);
  P.entries = (value) => Object.entries(value || {});
  P.plural = (n, one, many) => n.toLocaleString('en') + ' ' + (n === 1 ? one : many || one + 's');

  // --- words -------------------------------------------------------------------------------------
  P.VERDICTS = {
    broken: { word: 'broken', sign: '\u2715', tone: 'broken' },
    inconclusive: { word: 'inconclusive', sign: '?', tone: 'unsure' },
    holds: { word: 'holds', sign: '\u2713', tone: 'holds' },
  };
  // In the order in which one wants to read them.
  P.STANDINGS = {
    'regression': { word: 'regression', title: 'Regressions', says: 'breaks although it is expected to hold', tone: 'broken', sign: '\u2715' },
    'new': { word: 'new', title: 'New', says: 'breaks, and nothing is known of it for this version', tone: 'broken', sign: '\u2715' },
    'inconclusive': { word: 'inconclusive', title: 'Inconclusive', says: 'says nothing', tone: 'unsure', sign: '?' },
    'fixed': { word: 'fixed', title: 'Fixed', says: 'a known deviation no longer shows', tone: 'accent', sign: '\u2191' },
    'known': { word: 'known deviation', title: 'Known deviations', says: 'breaks as it is known to', tone: 'known', sign: '\u2248' },
    'as-expected': { word: 'as expected', title: 'As expected', says: 'holds, and nothing else was expected', tone: 'holds', sign: '\u2713' },
  };
  P.EXITS = {
    0: 'everything is as expected',
    1: 'a regression or an unexpected break (under --strict also a deviation that is gone)',
    2: 'the run did not exercise a promise',
    3: 'the machine kept the run from being made',
    64: 'the command line or a setting does not fit its grammar',
  };
  P.RULINGS = {
    'unsafe': { word: 'unsafe', tone: 'broken', sign: '\u2715', says: 'A guarantee is broken that the old release kept, the upgrade itself breaks something, or the configuration no longer starts.' },
    'inconclusive': { word: 'inconclusive', tone: 'unsure', sign: '?', says: 'Something was not exercised, or may be chance.' },
    'safe-with-changes': { word: 'safe with changes', tone: 'accent', sign: '!', says: 'A limit, a hint, a default or a measurement changed.' },
    'safe': { word: 'safe', tone: 'holds', sign: '\u2713', says: 'Nothing is worse.' },
  };
  const unknown = (word) => ({ word, title: word, tone: 'plain', sign: '\u00b7', says: '' });
  P.verdict = (it) => P.VERDICTS[it] || unknown(it);
  P.standing = (it) => P.STANDINGS[it] || unknown(it);
  P.ruling = (it) => P.RULINGS[it] || unknown(it);

  P.sign = (it) => P.el('span', { class: 'sign-s tone-' + it.tone, role: 'img', 'aria-label': it.word, title: it.word }, it.sign);
  P.tag = (text, tone, extra) => P.el('span', { class: 'tag' + (tone ? ' tone-' + tone : '') + (extra ? ' ' + extra : '') }, text);
  P.fold = function (title, make, open) {
    const details = P.el('details', { class: 'fold' }, P.el('summary', {}, title));
    let made = false;
    const fill = () => { if (!made) { made = true; P.add(details, [make()]); } };
    details.addEventListener('toggle', () => { if (details.open) fill(); });
    if (open) { fill(); details.open = true; }
    return details;
  };
  // A long text: its beginning, and the rest on demand.
  P.long = function (text, attributes, most) {
    const limit = most || 420;
    const element = P.el('p', attributes);
    if (text.length <= limit * 1.25) return P.add(element, [text]);
    const rest = P.el('button', { class: 'linkish no-print', type: 'button', on: { click: () => P.add(P.clear(element), [text]) } }, 'all of it');
    return P.add(element, [text.slice(0, limit) + '\u2026 ', rest]);
  };
  P.copyable = function (text, shown) {
    const button = P.el('button', { type: 'button', class: 'copy', title: text + ' (click to copy)', 'aria-label': 'copy ' + text }, shown);
    button.addEventListener('click', () => {
      button.textContent = text;
      if (navigator.clipboard) navigator.clipboard.writeText(text).catch(() => {});
    });
    return button;
  };

  // --- numbers -----------------------------------------------------------------------------------
  P.seconds = function (seconds) {
    if (typeof seconds !== 'number' || !isFinite(seconds)) return 'not known';
    if (seconds < 10) return seconds.toFixed(1) + ' s';
    if (seconds < 120) return Math.round(seconds) + ' s';
    const whole = Math.round(seconds);
    if (whole < 3600) return Math.floor(whole / 60) + ' min ' + (whole % 60) + ' s';
    return Math.floor(whole / 3600) + ' h ' + Math.floor((whole % 3600) / 60) + ' min';
  };
  // A length of time in milliseconds with three significant digits.
  P.span = function (ms) {
    const most = Math.abs(ms);
    if (most >= 60000) return Math.floor(ms / 60000) + ' min ' + ((ms % 60000) / 1000).toFixed(1) + ' s';
    if (most >= 1000) return (ms / 1000).toFixed(most >= 100000 ? 0 : most >= 10000 ? 1 : 2) + ' s';
    if (most >= 1) return ms.toFixed(most >= 100 ? 0 : most >= 10 ? 1 : 2) + ' ms';
    return most === 0 ? '0 ms' : Math.round(ms * 1000) + ' \u00b5s';
  };
  // A point in time, in seconds since the history began.
  P.at = (ms, digits) => (ms / 1000).toFixed(digits === undefined ? 3 : digits) + ' s';
  P.clock = function (began, ms) {
    if (began === null || began === undefined) return '';
    const date = new Date(began + ms);
    return isNaN(date) ? '' : date.toISOString().slice(11, 23) + ' UTC';
  };
  P.figure = function (value, unit) {
    if (typeof value !== 'number') return String(value);
    if (unit === 'bytes' && Math.abs(value) >= 1e6) return (value / 1e6).toFixed(2) + ' MB';
    if (unit === 'bytes' && Math.abs(value) >= 1e4) return (value / 1e3).toFixed(0) + ' kB';
    const digits = Number.isInteger(value) || Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 0.1 ? 2 : 4;
    return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }) + (unit ? ' ' + unit : '');
  };
  P.date = function (text) {
    const date = new Date(text);
    return isNaN(date) ? String(text) : date.toISOString().replace('T', ' ').slice(0, 19) + ' UTC';
  };

  // --- state -------------------------------------------------------------------------------------
  const SETS = ['verdict', 'standing'];
  const WORDS = ['q', 'group', 'trial', 'view', 'from', 'to', 'theme'];
  P.state = { verdict: new Set(), standing: new Set() };
  P.fromHash = function () {
    const found = new URLSearchParams(location.hash.slice(1));
    for (const key of SETS) P.state[key] = new Set((found.get(key) || '').split(',').filter(Boolean));
    for (const key of WORDS) P.state[key] = found.get(key) || '';
  };
  P.toHash = function () {
    const parts = [];
    const put = (key, text) => { if (text) parts.push(key + '=' + encodeURIComponent(text).replace(/%2F/g, '/').replace(/%2C/g, ',')); };
    for (const key of WORDS.slice(0, 1)) put(key, P.state[key]);
    for (const key of SETS) put(key, [...P.state[key]].join(','));
    for (const key of WORDS.slice(1)) if (P.state.view === 'timeline' || (key !== 'from' && key !== 'to')) put(key, P.state[key]);
    const hash = '#' + parts.join('&');
    if (hash === location.hash || (hash === '#' && !location.hash)) return;
    try { history.replaceState(null, '', hash === '#' ? location.pathname + location.search : hash); } catch (error) { /* a page of a file may not */ }
  };
})(window.Page = window.Page || {});
