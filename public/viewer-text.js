// The words of a page, transparent over its picture: they can be selected, copied, and copied with a citation.
import { make } from '/public/page.js';
import { t } from '/public/texts.js';
import { about, data, name, pane, whenDrawn } from '/public/viewer-sheets.js';

const ruler = document.createElement('canvas').getContext('2d');
const measured = (text, size) => {
  ruler.font = `${size}px sans-serif`;
  return ruler.measureText(text).width || 1;
};

const compounds = new Set(); // words that this document writes with a hyphen within a line

const span = (word, next, [width, height]) => {
  const [said, left, top, right, bottom, turn, ends] = word;
  const goesOn = !ends && next && next[5] === turn;
  const text = ends ? said : `${said} `;
  const element = make('span', {}, text);
  let long;
  let size;
  if (turn === 0) {
    size = (bottom - top) * height;
    long = (goesOn && next[1] > left ? next[1] - left : right - left) * width;
    element.style.left = `${100 * left}%`;
    element.style.top = `${100 * top}%`;
  } else {
    size = (right - left) * width;
    long = (bottom - top) * height;
    element.style.left = `${100 * (turn === 90 ? right : left)}%`;
    element.style.top = `${100 * (turn === 90 ? top : bottom)}%`;
  }
  const natural = measured(goesOn && turn === 0 && next[1] > left ? text : said, size);
  const stretch = long / natural;
  element.style.width = `calc(var(--scale) * ${natural.toFixed(2)}px)`; // else what is selected juts out at its end
  element.style.fontSize = `calc(var(--scale) * ${size.toFixed(2)}px)`;
  element.style.transform = `${turn === 90 ? 'rotate(90deg) ' : turn === 270 ? 'rotate(-90deg) ' : ''}scaleX(${stretch.toFixed(4)})`;
  return element;
};

whenDrawn(async (number, sheet, signal) => {
  let words;
  try {
    ({ words } = await about(`text/${number}`));
  } catch {
    return; // the picture is there, or says what is wrong
  }
  if (signal.aborted || !words.length) return;
  words.forEach(([said]) => /\p{L}-\p{L}/u.test(said) && compounds.add(said.toLowerCase().replace(/[^\p{L}-]/gu, '')));
  const layer = make('div', { class: 'words' });
  for (const [index, word] of words.entries()) {
    layer.append(span(word, words[index + 1], data.sizes[number - 1]));
    if (word[6]) layer.append(make('br'));
  }
  const end = make('div', { class: 'end' });
  layer.append(end);
  // while one drags, what lies below the first line counts as the text's end: else a gap would select the whole page
  layer.addEventListener('pointerdown', (event) => {
    const box = layer.getBoundingClientRect();
    end.style.top = `${Math.max(0, (100 * (event.clientY - box.top)) / box.height)}%`;
    end.classList.add('held');
  });
  sheet.append(layer);
});
document.addEventListener('pointerup', () => {
  document.querySelectorAll('.end.held').forEach((end) => end.classList.remove('held'));
});

const chosen = () => {
  const selection = window.getSelection();
  if (selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  const sheetOf = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest('.sheet');
  const [from, to] = [sheetOf(range.startContainer), sheetOf(range.endContainer)];
  const text = selection.toString();
  if (!(from || to) || !text.trim()) return null;
  const pages = [from || to, to || from].map((sheet) => Number(sheet.dataset.page));
  return { text, range, first: pages[0], last: pages[1] };
};

/** Selected words as one runs them into a sentence: lines joined, and words that a line's end breaks made whole. */
export const flowing = (text) => {
  const whole = text.replace(/([\p{L}-]+)-\s*\n\s*([\p{Ll}][\p{L}-]*)/gu, (_, start, end) =>
    `${start}${compounds.has(`${start}-${end}`.toLowerCase()) ? '-' : ''}${end}`);
  return whole.replace(/\s+/g, ' ').trim();
};

const label = (number) => data.labels[number - 1] || String(number);

/** The words in quotation marks, with author, year and page. */
export const cited = ({ text, first, last }) => {
  const inner = flowing(text).replace(/[“”]/g, (mark) => (mark === '“' ? '‘' : '’'));
  const pages = first === last ? `p. ${label(first)}` : `pp. ${label(first)}–${label(last)}`;
  return `“${inner}” (${data.cite}, ${pages})`;
};

const done = document.getElementById('done');
let fading = 0;
export const say = (text) => {
  done.textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => { done.textContent = ''; }, 2500);
};

const put = async (text, said) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const once = (event) => {
      event.clipboardData.setData('text/plain', text);
      event.preventDefault();
    };
    document.addEventListener('copy', once, { once: true });
    const worked = document.execCommand('copy');
    document.removeEventListener('copy', once);
    if (!worked) return say(t('The browser did not allow it. Press Ctrl+C instead.'));
  }
  return say(said);
};

export const copyCited = () => {
  const now = chosen();
  if (now) put(cited(now), t('Copied with its citation.'));
};

const pick = document.getElementById('pick');
pick.addEventListener('pointerdown', (event) => event.preventDefault()); // the selection stays
document.getElementById('copy').addEventListener('click', () => {
  const now = chosen();
  if (now) put(now.text, t('Copied.'));
});
document.getElementById('copy-cited').addEventListener('click', copyCited);

const offer = () => {
  const now = chosen();
  pick.hidden = !now;
  if (!now) return;
  const rects = now.range.getClientRects();
  const end = rects[rects.length - 1];
  const frame = pane.getBoundingClientRect();
  if (!end || end.bottom < frame.top || end.top > frame.bottom) {
    pick.hidden = true;
    return;
  }
  const { width, height } = pick.getBoundingClientRect();
  pick.style.left = `${Math.max(6, Math.min(end.right - width / 2, window.innerWidth - width - 6))}px`;
  pick.style.top = `${Math.min(end.bottom + 6, window.innerHeight - height - 6)}px`;
  pick.setAttribute('aria-label', t('Text selected on page {page}', { page: name(now.first) }));
};
let held = false;
document.addEventListener('pointerdown', (event) => { held = !pick.contains(event.target); });
document.addEventListener('pointerup', () => { held = false; setTimeout(offer, 0); });
document.addEventListener('selectionchange', () => { if (!held) offer(); else pick.hidden = true; });
pane.addEventListener('scroll', () => { if (!pick.hidden) offer(); }, { passive: true });
