// Chainlit's buttons with only an icon have no name for screen readers, and a list of its sidebar has no list items.
// Names are given by what each button is called in the page, or by its icon.
import { t } from '/public/texts.js';

const NAMES = {
  'sidebar-trigger-button': t('Show or hide the list of chats'),
  'search-chats-button': t('Search the chats'),
  'new-chat-button': t('New chat'),
  'upload-button': t('Add PDFs'),
  'chat-submit': t('Send'),
  'stop-button': t('Stop the answer'),
  'theme-toggle': t('Light or dark'),
  'user-nav-button': t('You'),
  'readme-button': t('About Scholion'),
  copy: t('Copy'),
  'thumbs-up': t('Helpful'),
  'thumbs-down': t('Not helpful'),
  pencil: t('Edit'),
  trash: t('Delete'),
  'trash-2': t('Delete'),
  x: t('Close'),
  'chevron-down': t('Show more'),
  'chevron-up': t('Show less'),
  'arrow-down': t('Go to the newest message'),
  'ellipsis-vertical': t('More'),
  ellipsis: t('More'),
  'more-horizontal': t('More'),
};

const HIDDEN = {
  // as Chainlit calls them, in English, whatever the language
  'Toggle Sidebar': t('Show or hide the list of chats'), 'Toggle theme': t('Light or dark'), 'Upload button loading': t('Add PDFs'),
};

const icon = (button) => [...(button.querySelector('svg')?.classList || [])]
  .find((name) => name.startsWith('lucide-'))?.slice('lucide-'.length);

const words = (id) => {
  const said = id.replace(/-(button|btn)$/, '').replace(/[-_]+/g, ' ').trim();
  return /[a-z]{3}/.test(said) && !/\d/.test(said) ? said[0].toUpperCase() + said.slice(1) : '';
};

const isNamed = (element) => element.getAttribute('aria-label') || element.getAttribute('aria-labelledby')
  || element.title || element.textContent.trim();

const given = new WeakMap(); // button → the name we gave it: React turns Send into Stop and back in the same element

function nameAll(root) {
  for (const button of root.querySelectorAll('button, [role="button"]')) {
    if (button.getAttribute('role') === 'presentation') button.removeAttribute('role');
    if (button.id === 'command-button') button.setAttribute('aria-label', t('Tools')); // on a phone only the icon is shown
    const said = button.querySelector('.sr-only')?.textContent.trim() || button.getAttribute('aria-label');
    if (HIDDEN[said]) button.setAttribute('aria-label', HIDDEN[said]);
    const ours = given.get(button);
    if (isNamed(button) && (!ours || button.getAttribute('aria-label') !== ours)) continue;
    const name = NAMES[button.id] || NAMES[icon(button)] || words(button.id) || words(icon(button) || '');
    if (!name || name === ours) continue;
    button.setAttribute('aria-label', name);
    given.set(button, name);
  }
  for (const button of root.querySelectorAll('#header button:has(> a)')) {
    button.setAttribute('role', 'group'); // the link in it is what is pressed
    button.setAttribute('aria-label', button.textContent.trim());
    button.tabIndex = -1;
  }
  for (const options of root.querySelectorAll('div#thread-options:not([role])')) {
    options.setAttribute('role', 'button');
    options.setAttribute('aria-label', t('Options of this chat'));
  }
  for (const list of root.querySelectorAll('ul')) {
    if ([...list.children].some((child) => child.tagName !== 'LI')) list.setAttribute('role', 'presentation');
  }
}

let waiting = false;
const later = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; nameAll(document.body); });
};
new MutationObserver(later).observe(document.body, { childList: true, subtree: true });
later();

// Escape closes the side panel, unless something else is open above it or text is being written.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.defaultPrevented) return;
  if (document.querySelector('[role="dialog"], [role="menu"], [role="listbox"]')) return;
  const { target } = event;
  if (/^(INPUT|TEXTAREA)$/.test(target.tagName) ? target.value : target.isContentEditable && target.textContent.trim()) return;
  document.querySelector('#side-view-title button')?.click();
});

// What opened the side panel has the focus again when it is closed. The page draws it anew, more than once, and on a
// busy machine late; whoever presses something else in the meantime has left it.
let opener = null, returning = 0;
const kindOf = (part) => part.closest('[data-step-type]')?.dataset.stepType; // folded passages, which come and go, have the same links
const likeIt = (part) => [...document.querySelectorAll(part.id ? `#${CSS.escape(part.id)}` : `a[href="${part.getAttribute('href')}"]`)]
  .filter((other) => kindOf(other) === opener.kind);
const giveBack = (tries) => {
  const free = document.activeElement === document.body && !document.getElementById('side-view-title');
  if (free && opener) likeIt(opener.part)[opener.place]?.focus();
  returning = tries ? setTimeout(giveBack, 50, tries - 1) : 0;
};
for (const kind of ['keydown', 'pointerdown']) document.addEventListener(kind, () => clearTimeout(returning), true);
document.addEventListener('click', ({ target }) => {
  const opens = target.closest?.('a[href^="/cite/"], [id^="command-"]');
  if (opens) {
    opener = { part: opens, kind: kindOf(opens) };
    opener.place = likeIt(opens).indexOf(opens);
  }
  if (target.closest?.('#side-view-title button')) giveBack(opener ? 200 : 0);
}, true);

// Enter in a dialog with one field, such as *Rename*, presses its main button.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.isComposing || event.target.tagName !== 'INPUT') return;
  const dialog = event.target.closest('[role="dialog"], [role="alertdialog"]');
  if (!dialog || dialog.querySelectorAll('input, textarea').length !== 1 || dialog.querySelector('[cmdk-root]')) return;
  const main = [...dialog.querySelectorAll('button')].filter((button) => !button.disabled && button.textContent.trim()).pop();
  if (main) { event.preventDefault(); main.click(); }
});
