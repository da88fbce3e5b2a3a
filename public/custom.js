// What the page's buttons are called: `public/texts.js` is loaded below, and until then they are in English.
const inWords = (english) => window.scholionTexts?.t(english) ?? english;

// A click on [1](/cite/<paper>/<page>/<passage>) becomes a message to the server, which opens the side panel.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="/cite/"]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  const text = (link.closest('.step')?.innerText || '').slice(0, 20000); // which of the chat's answers it was
  window.postMessage({ type: 'scholion:cite', path: new URL(link.href).pathname, text }, window.location.origin);
}, true);

// The Library button opens the panel at once; as a command of Chainlit's it would wait for a message to be sent.
document.addEventListener('click', (event) => {
  if (event.target.closest?.('[id^="command-"]')?.id !== `command-${inWords('Library')}`) return;
  event.preventDefault();
  event.stopPropagation();
  window.postMessage({ type: 'scholion:library' }, window.location.origin);
}, true);

// Commands that need no text are sent as soon as they are chosen.
new MutationObserver(() => {
  const chosen = [inWords('Cost'), inWords('Export')].map((name) => document.getElementById(`command-${name}`)).find(Boolean);
  if (!chosen || chosen.dataset.sent || document.getElementById('chat-input')?.value) return;
  chosen.dataset.sent = 'true';
  requestAnimationFrame(() => document.getElementById('chat-submit')?.click());
}).observe(document.body, { childList: true, subtree: true });

// The offer of a model that runs here opens the settings page.
document.addEventListener('click', (event) => {
  const starter = event.target.closest?.('[id^="starter-"]');
  if (!starter?.id.startsWith(`starter-${inWords('Settings:').toLowerCase()}`)) return;
  event.preventDefault();
  event.stopPropagation();
  window.open('/settings', '_blank', 'noopener');
}, true);

import('/public/texts.js');
import('/public/sentence-marks.js');
import('/public/accessible.js');
import('/public/copy.js');
