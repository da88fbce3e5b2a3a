// The viewer: one document to scroll through, opened where an answer cites it.
import {
  LAST, about, current, data, goTo, layer, name, open, pane, reveal, setZoom, whenDrawn, whenTurned, zoomBy,
} from '/public/viewer-sheets.js';
import { copyCited } from '/public/viewer-text.js';
import { closeSide } from '/public/viewer-side.js';
import { focusSearch } from '/public/viewer-search.js';
import { t } from '/public/texts.js';

const byId = (id) => document.getElementById(id);

// ---- pages ----
const go = byId('go');
const told = (number) => {
  const label = data.labels[number - 1];
  byId('label').textContent = label ? `${t('p. {page}', { page: label })} ·` : '';
  if (document.activeElement !== go) go.value = String(number);
  byId('previous').disabled = number <= 1;
  byId('next').disabled = number >= LAST;
  byId('alone').href = `/page/${data.paper}/${number}${window.location.search}`;
  byId('pdf').href = `/papers/${data.paper}.pdf#page=${number}`;
};
whenTurned(told);
byId('previous').addEventListener('click', () => goTo(current - 1));
byId('next').addEventListener('click', () => goTo(current + 1));

/** The page at this place, or the one that is called so in print. */
const meant = (said) => {
  const number = /^\d+$/.test(said) ? Number(said) : 0;
  if (number >= 1 && number <= LAST) return number;
  return data.labels.findIndex((label) => label && label.toLowerCase() === said.toLowerCase()) + 1;
};
go.addEventListener('focus', () => go.select());
go.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') go.blur();
  if (event.key !== 'Enter') return;
  const number = meant(go.value.trim());
  go.classList.toggle('bad', !number);
  go.title = number ? '' : t('This document has pages 1 to {n}.', { n: LAST });
  if (!number) return;
  go.blur();
  goTo(number);
  pane.focus({ preventScroll: true });
});
go.addEventListener('blur', () => { go.value = String(current); go.classList.remove('bad'); });

// ---- zoom ----
byId('smaller').addEventListener('click', () => zoomBy(1 / 1.25));
byId('larger').addEventListener('click', () => zoomBy(1.25));
byId('fit').addEventListener('click', () => setZoom({ fit: 'width' }));
byId('whole').addEventListener('click', () => setZoom({ fit: 'page' }));

// ---- cited places ----
const same = (place) => place.page === data.cited && (place.quotes.some((quote) => data.words.includes(quote)) || place.ordinal === data.passage);
const places = data.places.map((place) => ({ ...place }));
let here = data.cited ? places.findIndex(same) : -1;
if (data.cited && here < 0) {
  const opened = { page: data.cited, ordinal: data.passage, quotes: data.words };
  here = places.filter((place) => place.page <= opened.page).length;
  places.splice(here, 0, opened);
}
if (here >= 0) places[here].opened = true;

const query = (place) => {
  const words = place.quotes.length ? place.quotes.map((quote) => ['words', quote]) : [['passage', place.ordinal]];
  return new URLSearchParams(words.filter(([, value]) => value)).toString();
};
const located = async (place, page) => {
  if (place.opened && page === data.cited) return { boxes: data.marks, whole: data.whole };
  try {
    const { marks: found, whole } = await about(`marks/${page}?${query(place)}`);
    return { boxes: found.flat(), whole };
  } catch {
    return { boxes: [], whole: true };
  }
};
/** Where a place's words are on a page: on its own, or on the one before or after if the sentence continues there. */
const boxes = async (place, page) => {
  if (page !== place.page && (await located(place, place.page)).whole) return [];
  return (await located(place, page)).boxes;
};
const marks = new Map(); // place → its elements on pages that are drawn
whenDrawn((number, _, signal) => {
  places.forEach(async (place, index) => {
    if (Math.abs(place.page - number) > 1) return;
    const found = await boxes(place, number);
    if (signal.aborted) return;
    const drawn = layer(number, index === here ? 'mark' : 'mark other', found);
    marks.set(index, [...(marks.get(index) || []).filter((element) => element.isConnected), ...drawn]);
  });
});
const light = () => {
  for (const [index, elements] of marks) elements.forEach((element) => element.classList.toggle('other', index !== here));
  byId('cited-at').textContent = t('Cited {n} / {total}', { n: here + 1, total: places.length });
};
const visit = async (by) => {
  here = (here + by + places.length) % places.length;
  const place = places[here];
  light();
  const found = await boxes(place, place.page);
  if (places[here] !== place) return;
  byId('said').hidden = found.length > 0;
  if (!found.length) byId('said').textContent = t('The cited text could not be highlighted on this page.');
  reveal(place.page, found);
};
if (places.length > 1) {
  byId('cited').hidden = false;
  light();
}
byId('cited-before').addEventListener('click', () => visit(-1));
byId('cited-after').addEventListener('click', () => visit(1));

// ---- keys ----
const page = (by) => pane.scrollBy({ top: by * 0.9 * pane.clientHeight });
const keys = {
  ArrowLeft: () => goTo(current - 1),
  ArrowRight: () => goTo(current + 1),
  ArrowUp: () => pane.scrollBy({ top: -60 }),
  ArrowDown: () => pane.scrollBy({ top: 60 }),
  PageUp: () => page(-1),
  PageDown: () => page(1),
  Home: () => goTo(1),
  End: () => goTo(LAST),
  '+': () => zoomBy(1.25),
  '=': () => zoomBy(1.25),
  '-': () => zoomBy(1 / 1.25),
  '/': focusSearch,
  c: copyCited,
  Escape: () => { closeSide(); byId('more').open = false; },
};
document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'f') {
    event.preventDefault();
    focusSearch();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const act = keys[event.key];
  if (!act) return;
  if (event.key === 'Escape' && byId('side').hidden && !byId('more').open) return; // nothing to close here: the panel itself
  event.preventDefault();
  act();
});
document.addEventListener('click', (event) => {
  const more = byId('more');
  if (more.open && !more.contains(event.target)) more.open = false;
});

// Opened from the Library in the same panel: a way back.
if (window.parent !== window && window.name === 'from-library') {
  const back = document.createElement('a');
  back.id = 'back';
  back.href = '/library';
  back.textContent = t('‹ Library');
  document.querySelector('header').prepend(back);
}

document.title = t('{title}, page {page}', { title: document.querySelector('h1').textContent, page: name(data.page) });
open(data.marks);
told(current);
pane.focus({ preventScroll: true });
