// The pages of the document: placed by their sizes at once, drawn only near the viewport, and dropped far from it.
import { ask, make } from '/public/page.js';
import { t } from '/public/texts.js';

export const data = JSON.parse(document.getElementById('document').textContent);
export const pane = document.getElementById('pane');
export const LAST = data.sizes.length;

const ALIVE = 8; // pictures at most, unless more pages are seen at once
const GAP = 12;
const PAD = 10;
const WAIT = 90; // milliseconds on a page before it is drawn: a flick through 300 pages draws none of them
const AHEAD = 250; // milliseconds until the pages before and after those that are seen are drawn
const SMALLEST = 0.2;
const LARGEST = 6; // pixels a point
const WIDEST = 1000; // pixels of a page that fits the width of a window of its own
const READABLE = 1.2; // pixels a point
const KEPT = 'scholion-zoom';

const root = document.documentElement;
const framed = root.classList.contains('framed') || window.parent !== window;
const sheets = document.getElementById('sheets');
const all = data.sizes.map(([width, height], index) =>
  make('figure', { class: 'sheet', 'data-page': index + 1, 'aria-label': t('Page {page}', { page: name(index + 1) }), style: `--w:${width};--h:${height}` }),
);
sheets.append(...all);

const alive = new Map(); // page number → AbortController
const drawers = []; // (number, sheet, signal): what is laid over a page
const turned = []; // (number): another page is the current one
let zoom = { fit: 'width' };
let scale = 1;
let tops = [];
export let current = data.page;

/** What a page is called: "1123 (1)", or its place alone. */
export function name(number) {
  const label = data.labels[number - 1];
  return label ? `${label} (${number})` : String(number);
}

export const sheet = (number) => all[number - 1];
export const whenDrawn = (drawer) => drawers.push(drawer);
export const whenTurned = (listener) => turned.push(listener);
export const livePages = () => [...alive.keys()];

const fitted = (fit, number = current) => {
  const [width, height] = data.sizes[number - 1];
  const wide = (pane.clientWidth - 2 * PAD) / width;
  if (fit === 'page') return Math.min(wide, (pane.clientHeight - 2 * PAD) / height);
  return framed ? wide : Math.min(wide, WIDEST / width);
};

const place = () => {
  root.style.setProperty('--scale', String(scale));
  let top = PAD;
  tops = data.sizes.map(([, height]) => {
    const at = top;
    top += height * scale + GAP;
    return at;
  });
  const widest = Math.max(...data.sizes.map(([width]) => width)) * scale + 2 * PAD;
  sheets.style.width = `${Math.max(widest, pane.clientWidth)}px`;
};

const at = (y) => {
  let low = 0;
  let high = LAST - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return low + 1;
};

/** Zoom: { fit: 'width' }, { fit: 'page' } or a number of pixels a point; what is in the middle stays there. */
export function setZoom(wanted, { keep = true } = {}) {
  const middle = pane.scrollTop + pane.clientHeight / 2;
  const number = tops.length ? at(middle) : current;
  const part = tops.length ? (middle - tops[number - 1]) / (data.sizes[number - 1][1] * scale) : 0;
  const across = (pane.scrollLeft + pane.clientWidth / 2) / Math.max(1, sheets.clientWidth);
  zoom = wanted;
  scale = Math.min(LARGEST, Math.max(SMALLEST, wanted.fit ? fitted(wanted.fit, number) : wanted));
  if (keep) sessionStorage.setItem(KEPT, JSON.stringify(wanted));
  place();
  pane.scrollTop = tops[number - 1] + part * data.sizes[number - 1][1] * scale - pane.clientHeight / 2;
  pane.scrollLeft = across * sheets.clientWidth - pane.clientWidth / 2;
  update();
}

export const zoomBy = (factor) => setZoom(Math.min(LARGEST, Math.max(SMALLEST, scale * factor)));

/** Bring a page into view. */
export function goTo(number) {
  const to = Math.min(LAST, Math.max(1, number));
  pane.scrollTop = tops[to - 1] - PAD;
  land(to);
}

const around = (boxes) => [
  Math.min(...boxes.map((box) => box[0])), Math.min(...boxes.map((box) => box[1])),
  Math.max(...boxes.map((box) => box[2])), Math.max(...boxes.map((box) => box[3])),
];

/** Bring boxes of a page into view: fractions of it from its upper left corner. */
export function reveal(number, boxes) {
  if (!boxes.length) return goTo(number);
  const [width, height] = data.sizes[number - 1].map((side) => side * scale);
  const [left, top, right, bottom] = around(boxes);
  const tall = (bottom - top) * height;
  const room = Math.max(PAD, Math.min(0.4 * pane.clientHeight - tall / 2, pane.clientHeight - tall - PAD));
  pane.scrollTop = tops[number - 1] + top * height - room;
  const start = (sheets.clientWidth - width) / 2;
  const wide = (right - left) * width;
  pane.scrollLeft = start + left * width - Math.max(PAD, (pane.clientWidth - wide) / 2);
  land(number);
}

/** Boxes laid over a page. */
export function layer(number, kind, boxes) {
  return boxes.map(([left, top, right, bottom]) => {
    const element = make('div', { class: kind });
    element.style.cssText =
      `left:${100 * left}%;top:${100 * top}%;width:${100 * (right - left)}%;height:${100 * (bottom - top)}%`;
    sheet(number).append(element);
    return element;
  });
}

const draw = (number) => {
  const stop = new AbortController();
  alive.set(number, stop);
  const picture = make('img', { alt: t('Page {page}', { page: name(number) }), src: `/page/${data.paper}/${number}.png`, draggable: 'false' });
  picture.addEventListener('error', () => {
    if (!alive.has(number)) return;
    picture.remove();
    sheet(number).prepend(make('p', { class: 'lost' }, t('This page cannot be shown. Open the PDF instead.')));
  });
  sheet(number).prepend(picture);
  drawers.forEach((drawer) => drawer(number, sheet(number), stop.signal));
};

const drop = (number) => {
  alive.get(number).abort();
  alive.delete(number);
  sheet(number).querySelector('img')?.removeAttribute('src'); // ends a request that is still under way
  sheet(number).replaceChildren();
};

const isHeld = (number) => {
  const selection = window.getSelection();
  return !selection.isCollapsed && selection.containsNode(sheet(number), true);
};

let ahead = 0;
const load = () => {
  const first = at(pane.scrollTop);
  const last = at(pane.scrollTop + pane.clientHeight);
  const middle = (first + last) / 2;
  const far = (number) => Math.abs(number - middle);
  const wanted = new Set();
  for (let number = first; number <= last; number += 1) wanted.add(number);
  for (const number of [last + 1, first - 1]) if (number >= 1 && number <= LAST) wanted.add(number);
  const most = Math.max(ALIVE, last - first + 1);
  const kept = [...alive.keys()].filter((number) => !wanted.has(number)).sort((a, b) => far(a) - far(b));
  kept.slice(Math.max(0, most - wanted.size)).forEach((number) => isHeld(number) || drop(number));
  const missing = [...wanted].filter((number) => !alive.has(number)).sort((a, b) => far(a) - far(b));
  missing.filter((number) => number >= first && number <= last).forEach(draw);
  clearTimeout(ahead);
  ahead = setTimeout(() => missing.forEach((number) => alive.has(number) || draw(number)), AHEAD);
};

// where one has jumped to is the current page, although the end of the document may leave no room to scroll
let landed = null;
const land = (number) => {
  landed = { number, top: pane.scrollTop };
  update(number);
};

let waiting = 0;
function update(asked) {
  const seen = asked || at(pane.scrollTop + 0.4 * pane.clientHeight);
  if (seen !== current) {
    current = seen;
    turned.forEach((listener) => listener(current));
  }
  clearTimeout(waiting);
  waiting = setTimeout(load, alive.size ? WAIT : 0);
}

let ticking = false;
pane.addEventListener('scroll', () => {
  if (ticking) return;
  ticking = true;
  requestAnimationFrame(() => {
    ticking = false;
    update(landed && Math.abs(landed.top - pane.scrollTop) < 2 ? landed.number : undefined);
  });
}, { passive: true });

let width = 0;
new ResizeObserver(() => {
  if (!tops.length || !pane.clientWidth) return;
  if (zoom.fit || width !== pane.clientWidth) setZoom(zoom, { keep: false });
  width = pane.clientWidth;
}).observe(pane);

const stored = () => {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    if (kept?.fit === 'width' || kept?.fit === 'page') return { fit: kept.fit };
    return Number.isFinite(kept) && kept > 0 ? kept : null;
  } catch {
    return null;
  }
};

/** The first view: as wide as the window, or closer where the cited words would be too small, but none of them cut. */
export function open(boxes) {
  const kept = stored();
  let first = kept || { fit: 'width' };
  if (boxes.length) {
    const [left, , right] = around(boxes);
    const whole = (pane.clientWidth - 4 * PAD) / Math.max(1, (right - left) * data.sizes[data.cited - 1][0]);
    const usual = kept && !kept.fit ? kept : fitted(kept?.fit || 'width', data.cited);
    const wanted = Math.max(Math.min(usual, whole), Math.min(READABLE, whole));
    if (Math.abs(wanted - usual) > 0.02) first = wanted;
  }
  setZoom(first, { keep: false });
  if (boxes.length && data.page === data.cited) reveal(data.page, boxes);
  else goTo(data.page);
}

const asked = new Map();
/** An answer of the server about this document; asked once. */
export function about(what) {
  if (!asked.has(what)) {
    const answer = ask(`/viewer/${data.paper}/${what}`);
    asked.set(what, answer);
    answer.catch(() => asked.delete(what));
  }
  return asked.get(what);
}
