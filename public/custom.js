// A click on [1](/cite/<paper>/<page>/<passage>) becomes a message to the server, which opens the side panel.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="/cite/"]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  const text = (link.closest('.step')?.innerText || '').slice(0, 20000); // which of the chat's answers it was
  window.postMessage({ type: 'scholion:cite', path: new URL(link.href).pathname, text }, window.location.origin);
}, true);

// The Library button chooses a command that would still have to be sent: with nothing typed, send it.
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('#command-Library')) return;
  setTimeout(() => {
    if (!document.querySelector('#chat-input')?.value) document.querySelector('#chat-submit:not([disabled])')?.click();
  }, 100);
});

// The offer of a model that runs here opens the settings page.
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('[id^="starter-settings:"]')) return;
  event.preventDefault();
  event.stopPropagation();
  window.open('/settings', '_blank', 'noopener');
}, true);

import('/public/sentence-marks.js');
