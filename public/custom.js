// A click on [1](/cite/<paper>/<page>/<passage>) becomes a message to the server, which opens the side panel.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="/cite/"]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  window.postMessage({ type: 'scholion:cite', path: new URL(link.href).pathname }, window.location.origin);
}, true);

// The Library button chooses a command that would still have to be sent: with nothing typed, send it.
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('#command-Library')) return;
  setTimeout(() => {
    if (!document.querySelector('#chat-input')?.value) document.querySelector('#chat-submit:not([disabled])')?.click();
  }, 100);
});

// The viewer draws at 100 % (612 points for a letter page): scale what it drew to the width of the panel.
const fit = (viewer) => {
  const canvas = viewer.querySelector('canvas.react-pdf__Page__canvas');
  const page = canvas?.closest('.react-pdf__Page');
  if (!page) return;
  const chosen = parseFloat(page.style.getPropertyValue('--scale-factor')) || 1; // the reader's own zoom stays
  const natural = parseFloat(canvas.style.width) / chosen;
  const room = viewer.clientWidth - 40;
  if (natural > 0 && room > 0) viewer.style.setProperty('--scholion-fit', (room / natural).toFixed(3));
};
const sizes = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));
const watched = new WeakSet();
let asked = false;
new MutationObserver(() => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    document.querySelectorAll('.page-pdf').forEach((viewer) => {
      if (watched.has(viewer)) return fit(viewer);
      watched.add(viewer);
      sizes.observe(viewer);
    });
  });
}).observe(document.body, { childList: true, subtree: true });
