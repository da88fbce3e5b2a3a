// The page of a paper: arrow keys turn the page, the first mark comes into view, and the colours follow the chat.
const root = document.documentElement;
const framed = window.parent !== window;
root.classList.toggle('framed', framed);

const paint = () => {
  const chosen = localStorage.getItem('vite-ui-theme');
  const system = matchMedia('(prefers-color-scheme: dark)').matches;
  const dark = framed
    ? window.parent.document.documentElement.classList.contains('dark')
    : chosen === 'dark' || (chosen !== 'light' && system);
  root.classList.toggle('dark', dark);
};
paint();
if (framed) {
  new MutationObserver(paint).observe(window.parent.document.documentElement, { attributeFilter: ['class'] });
}

// Turning a page is no step in the chat's history: Back leaves the chat as it did before.
const turn = (id) => {
  const link = document.getElementById(id);
  if (link) window.location.replace(link.href);
};
for (const id of ['previous', 'next']) {
  document.getElementById(id)?.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    turn(id);
  });
}
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.key === 'ArrowLeft' || event.key === 'PageUp') turn('previous');
  else if (event.key === 'ArrowRight' || event.key === 'PageDown') turn('next');
  else return;
  event.preventDefault();
});

// Opened from the Library in the same panel: a way back.
if (framed && window.name === 'from-library') {
  const back = document.createElement('a');
  back.id = 'back';
  back.href = '/library';
  back.textContent = '‹ Library';
  document.querySelector('header').prepend(back);
}

// As wide as the window, but where words are marked in a narrow panel, wide enough to read them.
const ZOOM = 'scholion-zoom';
const READABLE = 640; // pixels for a page
const pane = document.querySelector('main');
const marked = document.querySelector('.mark');
const zoomed = () => parseFloat(root.style.getPropertyValue('--zoom')) || 1;
const zoom = (factor) => root.style.setProperty('--zoom', String(Math.min(4, Math.max(0.5, factor))));
const choose = (factor) => {
  zoom(factor);
  sessionStorage.setItem(ZOOM, String(zoomed()));
};
const kept = parseFloat(sessionStorage.getItem(ZOOM));
zoom(kept || (marked ? Math.min(2.5, Math.max(1, READABLE / (pane.clientWidth - 20))) : 1));
document.getElementById('smaller').addEventListener('click', () => choose(zoomed() / 1.25));
document.getElementById('larger').addEventListener('click', () => choose(zoomed() * 1.25));
document.getElementById('fit').addEventListener('click', () => choose(1));

const picture = document.getElementById('picture');
const settle = () => marked?.scrollIntoView({ block: 'center', inline: 'center' });
const fail = () => {
  const said = document.getElementById('said');
  said.textContent = 'This page cannot be shown. Open the PDF instead.';
  said.hidden = false;
  document.querySelector('figure').hidden = true;
};
if (picture.complete) (picture.naturalWidth ? settle : fail)();
picture.addEventListener('load', settle);
picture.addEventListener('error', fail);
