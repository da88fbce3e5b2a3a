// Search in the document: the server finds all hits in the stored text, and each page marks its own when it is drawn.
import { make } from '/public/page.js';
import { t } from '/public/texts.js';
import { about, current, layer, name, pane, reveal, whenDrawn } from '/public/viewer-sheets.js';
import { bringIntoList, fill, openSide } from '/public/viewer-side.js';

const MOST = 300; // hits in the list; one can step through all

const field = document.getElementById('sought');
const said = document.getElementById('hit');
const steps = [document.getElementById('hit-before'), document.getElementById('hit-after')];
let words = '';
let hits = []; // [page, before, words, after]
let now = -1;
let drawn = new Map(); // "page:n" → elements

const found = (page) => about(`found/${page}?q=${encodeURIComponent(words)}`);
const place = (index) => hits.slice(0, index).filter((hit) => hit[0] === hits[index][0]).length;

const mark = async (page, signal) => {
  const asked = words;
  if (!hits.some((hit) => hit[0] === page)) return;
  let boxes;
  try {
    ({ hits: boxes } = await found(page));
  } catch {
    return;
  }
  if (signal?.aborted || asked !== words) return;
  boxes.forEach((each, n) => drawn.set(`${page}:${n}`, layer(page, 'found', each)));
  light();
};

const light = () => {
  document.querySelectorAll('.found.now').forEach((element) => element.classList.remove('now'));
  if (now >= 0) drawn.get(`${hits[now][0]}:${place(now)}`)?.forEach((element) => element.classList.add('now'));
  document.querySelectorAll('#hits [aria-current]').forEach((row) => row.removeAttribute('aria-current'));
  const row = document.querySelector(`#hits [data-hit="${now}"]`);
  row?.setAttribute('aria-current', 'true');
  if (row?.offsetParent) bringIntoList(row);
};

const show = async (index) => {
  now = index;
  const [page] = hits[now];
  said.textContent = `${now + 1} / ${hits.length}${more ? '+' : ''}`;
  const asked = words;
  let boxes = [];
  try {
    boxes = (await found(page)).hits[place(now)] || [];
  } catch { /* the page is shown without marks */ }
  if (asked !== words || now !== index) return;
  reveal(page, boxes);
  light();
};

export const step = (by) => {
  if (hits.length) show((now + by + hits.length) % hits.length);
};

const row = (hit, index) =>
  make('button', { type: 'button', class: 'entry', 'data-hit': index, onclick: () => show(index) },
    make('span', { class: 'where' }, t('p. {page}', { page: name(hit[0]) })),
    make('span', { class: 'snippet' }, hit[1], make('mark', {}, hit[2]), hit[3]));

const list = () => {
  const rows = hits.slice(0, MOST).map(row);
  if (hits.length > MOST) rows.push(make('p', { class: 'faint' }, t('The first {n} of {total} hits are listed.', { n: MOST, total: hits.length })));
  if (words && !hits.length) rows.push(make('p', { class: 'faint' }, t('Nothing found. Try fewer words.')));
  fill('hits', `${t('Hits')}${words ? ` (${hits.length})` : ''}`, rows);
};

const clear = () => {
  document.querySelectorAll('.found').forEach((element) => element.remove());
  drawn = new Map();
};

let more = false;
const run = async () => {
  const wanted = field.value.trim().replace(/\s+/g, ' ');
  if (wanted === words) return false;
  words = wanted;
  clear();
  hits = [];
  now = -1;
  more = false;
  said.textContent = '';
  if (words) {
    const asked = words;
    let answer;
    try {
      answer = await about(`search?q=${encodeURIComponent(words)}`);
    } catch (error) {
      said.textContent = error.message;
      return true;
    }
    if (asked !== words) return true;
    ({ hits, more } = answer);
    if (!hits.length) said.textContent = t('None');
    if (window.innerWidth >= 900) openSide('hits');
  }
  steps.forEach((button) => { button.hidden = !hits.length; });
  list();
  const first = hits.findIndex((hit) => hit[0] >= current);
  if (hits.length) await show(first < 0 ? 0 : first);
  const live = new Set([...document.querySelectorAll('.sheet:has(img)')].map((sheet) => Number(sheet.dataset.page)));
  live.forEach((page) => mark(page));
  return true;
};

whenDrawn((page, _, signal) => { if (words) mark(page, signal); });

let typing = 0;
field.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(run, 300);
});
document.getElementById('search').addEventListener('submit', (event) => event.preventDefault());
field.addEventListener('keydown', async (event) => {
  if (event.key === 'Enter') {
    event.preventDefault();
    clearTimeout(typing);
    if (!(await run())) step(event.shiftKey ? -1 : 1);
  } else if (event.key === 'Escape') {
    field.value = '';
    run();
    pane.focus({ preventScroll: true });
  }
});
steps[0].addEventListener('click', () => step(-1));
steps[1].addEventListener('click', () => step(1));

export const focusSearch = () => {
  field.focus();
  field.select();
};
