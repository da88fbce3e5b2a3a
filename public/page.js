// What all of Scholion's own pages share: the chat's colours, and requests that say in words what went wrong.
import { t } from '/public/texts.js';

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

const GONE = t('Scholion is not responding. Reload the page and try again.');

/** Ask the server: JSON in, JSON out. Throws an Error whose message may be shown. */
export async function ask(address, body, { method = body === undefined ? 'GET' : 'POST', signal } = {}) {
  let reply;
  try {
    reply = await fetch(address, {
      method,
      signal,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error(GONE);
  }
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(typeof said.detail === 'string' ? said.detail : said.error || GONE);
  return said;
}

/** An element: make('button', { class: 'main', onclick }, 'Save'). Text is never read as HTML. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// In the side panel, Escape closes the panel, unless something in the page takes it first.
window.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !framed || event.defaultPrevented || document.querySelector('dialog[open]')) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  window.parent.document.querySelector('#side-view-title button')?.click();
});
