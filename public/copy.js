// "Copy with references" copies in one click: the click starts the copy, and the server's reply is its text. A browser
// lets a page write to the clipboard only while it handles a click, so the text is promised first and filled in later.
import { t } from '/public/texts.js';

const LABEL = t('Copy with references');
const PATIENCE = 20000; // milliseconds

let waiting = null;

const tell = (type) => window.postMessage({ type }, window.location.origin);

async function copy(text) {
  if (window.ClipboardItem && navigator.clipboard?.write) {
    const blob = text.then((words) => new Blob([words], { type: 'text/plain' }));
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
  } else {
    await navigator.clipboard.writeText(await text);
  }
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button');
  if (button?.textContent.trim() !== LABEL) return;
  waiting?.stop();
  const text = new Promise((resolve, reject) => {
    const stop = () => reject(new Error('no text came'));
    setTimeout(stop, PATIENCE);
    waiting = { fill: resolve, stop };
  });
  copy(text).then(() => tell('scholion:copied'), () => text.then(() => tell('scholion:not-copied'), () => {}));
}, true);

window.addEventListener('message', ({ data, origin, source }) => {
  if (source !== window || origin !== window.location.origin || data?.type !== 'scholion:copy') return;
  waiting?.fill(String(data.text));
  waiting = null;
});
