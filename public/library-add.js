// Files on their way into the Library: announced, uploaded one after the other, and followed until all are over.
import { ask, make } from '/public/page.js';
import { number, percent, t } from '/public/texts.js';

const EVERY = 400; // milliseconds between two looks at the job
const box = document.getElementById('job');
const WORDS = {
  waiting: t('waiting'), reading: t('reading'), indexing: t('indexing'), storing: t('storing'),
  added: t('added'), there: t('already there'), refused: t('refused'), stopped: t('stopped'),
};
let following = null;
let uploading = null; // the job's id

const isPdf = (name) => /\.pdf$/i.test(name) && !/(^|\/)(\._|__MACOSX\/)/.test(name);
const isCompanion = (name) => /\.(bib|json)$/i.test(name);

/** Add files, each {file, name with folders}. Bibliographies go first, so that their papers find them. */
export async function addFiles(files, changed) {
  const pdfs = files.filter(({ name }) => isPdf(name));
  const companions = files.filter(({ name }) => isCompanion(name));
  const passed = files.length - pdfs.length - companions.length;
  if (!pdfs.length) throw new Error(files.length ? t('There is no PDF among these files. Choose PDFs, or a folder that contains some.') : t('This folder is empty. Choose PDFs.'));
  const { job } = await ask('/library/add', { files: pdfs.map(({ name, file }) => [name, file.size]), passed_over: passed });
  uploading = job.id;
  follow(changed);
  try {
    for (const { file, name } of companions) await send(`/library/companion/${job.id}`, file, { name }).catch(() => {}); // the papers count
    for (const [number, { file }] of pdfs.entries()) {
      if (job.items[number].state === 'refused') continue;
      try {
        await send(`/library/file/${job.id}/${number}`, file);
      } catch (error) {
        if (error.gone) break; // it was cancelled, or the server has ended
      }
    }
  } finally {
    uploading = null;
    await ask('/library/add/close', { key: job.id }).catch(() => {});
  }
}

async function send(address, file, more = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(more)) form.append(name, value);
  form.append('file', file, 'file.pdf');
  const reply = await fetch(address, { method: 'POST', body: form });
  if (reply.ok) return;
  if (reply.status === 429) { // too many at once: this one is sent again
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(reply.headers.get('retry-after')) || 1)));
    return send(address, file, more);
  }
  const said = await reply.json().catch(() => ({}));
  throw Object.assign(new Error(said.detail || t('It could not be uploaded.')), { gone: ![413, 500].includes(reply.status) }); // else only this file is wrong
}

/** Show the job that is running, or was last, until it is over. */
export function follow(changed, { onlyRunning = false } = {}) {
  if (following) return;
  let before = -1;
  let failed = 0;
  const look = async () => {
    const said = await ask('/library/add').catch(() => null);
    if (!said) { // the server may be back in a moment
      failed += 1;
      following = failed < 10 ? setTimeout(look, 1000) : null;
      return;
    }
    failed = 0;
    const { job } = said;
    if (!job || (onlyRunning && job.finished)) return stop();
    onlyRunning = false;
    draw(job);
    const over = job.items.filter((item) => ['added', 'there', 'refused', 'stopped'].includes(item.state)).length;
    if (over !== before) changed();
    before = over;
    if (job.finished) stop();
    else following = setTimeout(look, EVERY);
  };
  const stop = () => { following = null; };
  following = setTimeout(look, 0);
}

function draw(job) {
  const over = job.items.filter((item) => ['added', 'there', 'refused', 'stopped'].includes(item.state)).length;
  const at = box.querySelector('ol')?.scrollTop ?? 0;
  const done = { n: number(over), total: number(job.items.length) };
  const head = job.finished ? job.summary : (job.stopping ? t('Stopping: {n} of {total} done', done) : t('Adding: {n} of {total} done', done));
  const button = job.finished
    ? make('button', { type: 'button', class: 'slim', onclick: () => { box.hidden = true; } }, t('Close'))
    : make('button', { type: 'button', class: 'slim', disabled: job.stopping, onclick: () => ask('/library/add/cancel', { key: job.id }).catch(() => {}) }, t('Cancel'));
  box.hidden = false;
  box.replaceChildren(...[
    make('div', { class: 'row', style: 'justify-content: space-between' }, make('strong', { role: 'status' }, head), button),
    !job.finished && make('progress', { max: job.items.length, value: over, 'aria-label': t('Files done') }),
    make('ol', {}, inOrder(job).map((item) => make('li', {},
      make('span', { title: item.name }, item.name),
      make('span', { class: item.state === 'refused' ? 'bad' : 'faint' }, stateOf(item)),
      item.said && make('small', {}, item.said)))),
  ].filter(Boolean));
  box.querySelector('ol').scrollTop = at;
}

function stateOf({ state, done, total }) {
  if (state === 'reading' && total > 1) return t('reading page {n} of {total}', { n: number(done + 1), total: number(total) }); // by OCR, which takes its time
  if (state === 'indexing' && total) return t('indexing {share}', { share: percent(done / total) });
  return WORDS[state];
}

// What needs a look first: files at work, then refused ones; of very many the rest is not drawn.
function inOrder(job) {
  const rank = { reading: 0, indexing: 0, storing: 0, refused: 1, stopped: 2, waiting: 3, there: 4, added: 4 };
  return [...job.items].sort((a, b) => rank[a.state] - rank[b.state]).slice(0, 300);
}

window.addEventListener('beforeunload', (event) => {
  if (uploading) event.preventDefault(); // files not uploaded yet would be lost
});
window.addEventListener('pagehide', () => {
  if (uploading) navigator.sendBeacon('/library/add/close', JSON.stringify({ key: uploading }));
});
