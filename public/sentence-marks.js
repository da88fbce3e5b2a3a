// The sentences in doubt: each is underlined from the invisible character where it begins to its mark, and a mark that
// is pointed at, focused or clicked says why. Nothing in the page is changed for the lines: they are drawn as highlights.

const BEGINS = '\u2063';
const MARKS = '.message-content a[href^="#unsupported"], .message-content a[href^="#weak"]';
const KINDS = ['unsupported', 'weak'];
const kindOf = (mark) => mark.getAttribute('href').slice(1);

// The texts of the sentence before a mark, as ranges; chips in it are left out.
function textsBefore(mark) {
  const walker = document.createTreeWalker(mark.closest('.message-content'), NodeFilter.SHOW_TEXT);
  const ranges = [];
  walker.currentNode = mark;
  while (walker.previousNode()) {
    const text = walker.currentNode;
    const link = text.parentElement.closest('a');
    if (link?.matches(MARKS)) return []; // another sentence's: where this one begins is not known
    const begin = text.data.lastIndexOf(BEGINS);
    if (!link && !text.parentElement.closest('annotation')) {
      const range = new Range();
      range.setStart(text, begin + 1);
      range.setEnd(text, Math.max(begin + 1, ranges.length ? text.length : text.data.trimEnd().length));
      ranges.push(range);
    }
    if (begin >= 0) return ranges;
  }
  return [];
}

function underline() {
  if (!window.CSS?.highlights) return; // an older browser shows the marks alone
  const found = Object.fromEntries(KINDS.map((kind) => [kind, new Highlight()]));
  for (const mark of document.querySelectorAll(MARKS)) {
    if (mark.closest('h6')) continue; // the legend's
    for (const range of textsBefore(mark)) found[kindOf(mark)]?.add(range);
  }
  for (const kind of KINDS) CSS.highlights.set(`scholion-${kind}`, found[kind]);
}

let waiting = 0;
new MutationObserver(() => {
  clearTimeout(waiting);
  waiting = setTimeout(underline, 120); // an answer that grows changes the page many times a second
}).observe(document.body, { childList: true, characterData: true, subtree: true });

const why = Object.assign(document.createElement('div'), { id: 'scholion-why', hidden: true });
why.setAttribute('role', 'tooltip');
let shown = null;

function show(mark) {
  if (mark === shown) return;
  hide();
  if (!mark?.title) return;
  shown = mark;
  why.textContent = mark.dataset.why = mark.title;
  mark.title = ''; // else the browser would say it a second time
  mark.setAttribute('aria-describedby', why.id);
  document.body.append(why);
  why.hidden = false;
  const at = mark.getClientRects()[0];
  const left = Math.min(at.left, document.documentElement.clientWidth - why.offsetWidth - 8);
  const below = at.bottom + 6 + why.offsetHeight <= window.innerHeight;
  why.style.left = `${Math.max(8, left)}px`;
  why.style.top = `${below ? at.bottom + 6 : at.top - 6 - why.offsetHeight}px`;
}

function hide() {
  if (!shown) return;
  shown.title = shown.dataset.why;
  shown.removeAttribute('aria-describedby');
  shown = null;
  why.hidden = true;
}

const markAt = (event) => event.target.closest?.(MARKS) ?? null;
document.addEventListener('pointerover', (event) => {
  if (event.pointerType === 'mouse' && !why.contains(event.target)) show(markAt(event));
});
document.addEventListener('focusin', (event) => show(markAt(event)));
document.addEventListener('keydown', (event) => event.key === 'Escape' && hide());
document.addEventListener('scroll', hide, true);
document.addEventListener('click', (event) => {
  const mark = markAt(event);
  if (mark) {
    event.preventDefault(); // the address leads nowhere
    event.stopPropagation();
  }
  show(mark);
}, true);

underline();
