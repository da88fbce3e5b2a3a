// Beside the document: small pages, the outline, the user's notes, the hits of a search.
import { make } from '/public/page.js';
import { t } from '/public/texts.js';
import { about, current, data, goTo, layer, name, reveal, sheet, whenDrawn, whenTurned } from '/public/viewer-sheets.js';

const OPEN = 'scholion-side';
const NARROW = 700;
const KINDS = {
  highlight: t('Highlighted'), underline: t('Underlined'), strikeout: t('Struck out'), squiggly: t('Underlined'), note: t('Note'),
  text: t('Written on the page'),
};

const side = document.getElementById('side');
const tabs = document.getElementById('tabs');
const lists = document.getElementById('lists');
const opener = document.getElementById('strip');
const parts = new Map(); // name → { tab, list }
let chosen = 'pages';

const choose = (which) => {
  chosen = which;
  for (const [each, { tab, list }] of parts) {
    tab.setAttribute('aria-selected', String(each === which));
    list.hidden = each !== which;
  }
};

const part = (which) => {
  if (!parts.has(which)) {
    const tab = make('button', { type: 'button', role: 'tab', id: `tab-${which}`, 'aria-controls': which, onclick: () => choose(which) });
    const list = make('div', { role: 'tabpanel', id: which, 'aria-labelledby': `tab-${which}`, hidden: which !== chosen });
    tabs.append(tab);
    lists.append(list);
    parts.set(which, { tab, list });
  }
  return parts.get(which);
};

/** Fill a tab with rows. */
export function fill(which, title, rows) {
  const { tab, list } = part(which);
  tab.textContent = title;
  tab.setAttribute('aria-selected', String(which === chosen));
  list.replaceChildren(...rows);
}

const shown = (open) => {
  side.hidden = !open;
  opener.setAttribute('aria-expanded', String(open));
  if (open) light(current);
};

export function openSide(which) {
  choose(which);
  shown(true);
}

/** Scroll the list, and nothing else, until one sees this row. */
export const bringIntoList = (row) => {
  const top = row.getBoundingClientRect().top - lists.getBoundingClientRect().top;
  if (top < 0 || top + row.offsetHeight > lists.clientHeight) lists.scrollTop += top - lists.clientHeight / 3;
};

export const closeSide = () => shown(false);
const leave = () => { if (window.innerWidth < NARROW) shown(false); };

opener.addEventListener('click', () => {
  shown(side.hidden);
  sessionStorage.setItem(OPEN, side.hidden ? '' : chosen);
});

// ---- small pages ----
const small = data.sizes.map(([width, height], index) => {
  const number = index + 1;
  return make('button', { type: 'button', class: 'small', 'data-small': number, 'aria-label': t('Page {page}', { page: name(number) }), onclick: () => { goTo(number); leave(); } },
    make('span', { class: 'leaf', style: `aspect-ratio:${width}/${height}` }), make('span', { class: 'where' }, name(number)));
});
fill('pages', t('Pages'), small);
const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const leaf = target.firstElementChild;
    if (!isIntersecting) leaf.replaceChildren();
    else if (!leaf.firstElementChild) {
      const picture = make('img', { alt: '', src: `/viewer/${data.paper}/small/${target.dataset.small}` });
      picture.addEventListener('error', () => picture.remove());
      leaf.append(picture);
    }
  }
}, { root: lists, rootMargin: '200px' });
small.forEach((button) => near.observe(button));

const light = (number) => {
  for (const button of document.querySelectorAll('.small[aria-current]')) button.removeAttribute('aria-current');
  const button = small[number - 1];
  button.setAttribute('aria-current', 'page');
  if (!side.hidden && chosen === 'pages') bringIntoList(button);
};
whenTurned(light);

// ---- outline ----
if (data.outline.length) {
  fill('contents', t('Contents'), data.outline.map(([title, page, depth]) =>
    make('button', { type: 'button', class: 'entry', style: `padding-left:${10 + 14 * Math.min(depth, 5)}px`, onclick: () => { goTo(page); leave(); } },
      make('span', { class: 'snippet' }, title), make('span', { class: 'where' }, data.labels[page - 1] || page))));
}

// ---- figures and tables ----
const toFigure = async ([title, text, page]) => {
  goTo(page);
  leave();
  const { marks } = await about(`marks/${page}?${new URLSearchParams({ words: (text || title).slice(0, 160) })}`).catch(() => ({ marks: [] }));
  const boxes = marks.flat();
  if (boxes.length) reveal(page, boxes);
};

const drawn = (figure) =>
  make('button', { type: 'button', class: 'entry', onclick: () => toFigure(figure) },
    make('span', { class: 'where' }, `${figure[0]} · ${t('p. {page}', { page: name(figure[2]) })}`),
    figure[1] && make('span', { class: 'snippet' }, figure[1]));

about('figures').then(({ figures }) => {
  if (figures.length) fill('figures', `${t('Figures')} (${figures.length})`, figures.map(drawn));
}).catch(() => {}); // the document can be read without

// ---- notes ----
let notes = [];
const say = ({ note, author }) => [note, author && `(${author})`].filter(Boolean).join(' ');

const draw = (number) => {
  notes.forEach((each, index) => {
    if (each.page !== number) return;
    const boxes = layer(number, `noted ${each.kind}`, each.boxes);
    if (!boxes.length || !(each.note || each.kind === 'note')) return;
    const [left, top, right] = each.boxes[0];
    const button = make('button', { type: 'button', class: 'pin', title: say(each), 'aria-label': t('Your note: {note}', { note: say(each) }), onclick: () => show(index) }, '✎');
    button.style.left = `${100 * (each.kind === 'note' ? left : Math.min(right, 0.97))}%`;
    button.style.top = `${100 * top}%`;
    sheet(number).append(button);
  });
};

const show = (index) => {
  openSide('notes');
  const row = document.querySelector(`#notes [data-note="${index}"]`);
  document.querySelectorAll('#notes [aria-current]').forEach((other) => other.removeAttribute('aria-current'));
  row.setAttribute('aria-current', 'true');
  bringIntoList(row);
};

const listed = (each, index) =>
  make('button', { type: 'button', class: 'entry', 'data-note': index, onclick: () => { reveal(each.page, each.boxes); leave(); } },
    make('span', { class: 'where' }, `${t('p. {page}', { page: name(each.page) })} · ${KINDS[each.kind] || t('Note')}${each.author ? ` · ${each.author}` : ''}`),
    each.quote && make('span', { class: 'snippet' }, `“${each.quote}”`),
    each.note && make('span', { class: 'note' }, each.note));

const load = async () => {
  fill('notes', t('Your notes'), [make('p', { class: 'faint' }, t('Looking …'))]);
  try {
    ({ notes } = await about('notes'));
  } catch (error) {
    fill('notes', t('Your notes'), [make('p', { class: 'faint' }, error.message)]);
    return;
  }
  const none = make('p', { class: 'faint' }, t('No highlights or notes were made in this PDF before it was added, or in Zotero.'));
  fill('notes', notes.length ? `${t('Your notes')} (${notes.length})` : t('Your notes'), notes.length ? notes.map(listed) : [none]);
  new Set(notes.map((each) => each.page)).forEach((page) => { if (sheet(page).querySelector('img')) draw(page); });
};
whenDrawn(draw);
load();

choose('pages');
const kept = sessionStorage.getItem(OPEN);
if (kept && window.innerWidth >= NARROW) {
  shown(true);
}
