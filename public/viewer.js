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
  const pane = document.querySelector('main');
  const sideways = pane.scrollWidth > pane.clientWidth + 1; // zoomed in: the arrows move the page itself
  if (event.key === 'PageUp' || (event.key === 'ArrowLeft' && !sideways)) turn('previous');
  else if (event.key === 'PageDown' || (event.key === 'ArrowRight' && !sideways)) turn('next');
  else return;
  event.preventDefault();
});

const ZOOM = 'scholion-zoom';
const zoom = (factor) => {
  const kept = Math.min(4, Math.max(0.5, factor));
  sessionStorage.setItem(ZOOM, String(kept));
  root.style.setProperty('--zoom', String(kept));
};
const zoomed = () => parseFloat(sessionStorage.getItem(ZOOM)) || 1;
zoom(zoomed());
document.getElementById('smaller').addEventListener('click', () => zoom(zoomed() / 1.25));
document.getElementById('larger').addEventListener('click', () => zoom(zoomed() * 1.25));
document.getElementById('fit').addEventListener('click', () => zoom(1));

const picture = document.getElementById('picture');
const settle = () => document.querySelector('.mark')?.scrollIntoView({ block: 'center', inline: 'nearest' });
const fail = () => {
  const said = document.getElementById('said');
  said.textContent = 'This page could not be drawn. Open the PDF instead.';
  said.hidden = false;
  document.querySelector('figure').hidden = true;
};
if (picture.complete) (picture.naturalWidth ? settle : fail)();
picture.addEventListener('load', settle);
picture.addEventListener('error', fail);
