// The Library: the papers as the server lists them, and what can be done with them. Text is only ever text here.
import { ask, make } from '/public/page.js';
import { date, many, number, t } from '/public/texts.js';
import { addFiles, follow } from '/public/library-add.js';

const by = (id) => document.getElementById(id);
const framed = window.parent !== window;
const origin = window.location.origin;
const FIRST = 100; // rows that are drawn at once; more follow as they come near
let papers = [];
let known = { total: 0, tags: [], unread: [], samples: { there: 0, missing: 0 } };
let drawn = 0;
let editing = null;
let open = null; // the form of the paper that is edited
let asked = 0;
const ticked = new Set();

const fill = (element, ...children) => element.replaceChildren(...children.flat().filter(Boolean));
const toChat = (message) => framed && window.parent.postMessage(message, origin);
const papersIn = (n) => many('{n} paper', '{n} papers', n);
const say = (error) => {
  by('error').textContent = error ? error.message : '';
  by('error').hidden = !error;
};
const attempt = async (work) => {
  say(null);
  try {
    return await work();
  } catch (error) {
    say(error);
    return null;
  }
};

/** Ask for the list again and draw it. */
export async function load() {
  const turn = ++asked;
  const sort = by('sort').value;
  const query = new URLSearchParams({ q: by('filter').value, sort, down: sort === 'added' || sort === 'year' });
  const said = await attempt(() => ask(`/library/papers?${query}`));
  if (!said || turn !== asked) return; // a later one is on its way
  papers = said.papers;
  known = said;
  if (!query.get('q').trim()) { // all papers are listed: what is gone is not ticked any more
    const there = new Set(papers.map((paper) => paper.id));
    for (const id of ticked) if (!there.has(id)) ticked.delete(id);
  }
  if (said.error) say(new Error(said.error));
  draw();
}

function draw() {
  const focused = document.activeElement;
  const at = focused?.closest?.('#papers > li')?.dataset.paper;
  const before = drawn;
  open = by('papers').querySelector(`.edit[data-of="${editing}"]`); // what is being typed there stays
  by('papers').replaceChildren();
  drawn = 0;
  do more(); while (drawn < Math.min(before, papers.length));
  const filtered = by('filter').value.trim() !== '';
  by('count').textContent = filtered ? t('{n} of {papers}', { n: number(papers.length), papers: papersIn(known.total) }) : papersIn(known.total);
  if (!papers.length) {
    by('papers').append(make('li', { class: 'empty' }, make('span'), make('span', { class: 'faint' },
      known.total ? t('No paper matches. Try fewer words.') : t('No papers yet. Add PDFs, or drop them here.'))));
  }
  drawTicked();
  drawUnread();
  drawSamples();
  if (open?.contains(focused)) focused.focus({ preventScroll: true });
  else if (at) by('papers').querySelector(`[data-paper="${at}"] .title`)?.focus({ preventScroll: true });
}

function more() {
  const next = papers.slice(drawn, drawn + FIRST);
  by('papers').append(...next.map(row));
  drawn += next.length;
}
new IntersectionObserver((seen) => {
  if (seen.some((one) => one.isIntersecting) && drawn && drawn < papers.length) more();
}, { rootMargin: '800px' }).observe(by('unread'));

// Where several people use one Scholion: whose a paper is.
const SHARED = { private: t('private'), shared: t('shared'), 'also shared': t('shared'), "another's": t('shared') };
const SHARING = {
  private: t('Only you see it'), shared: t('Everybody sees it, because you share it'),
  'also shared': t('Everybody sees it, because somebody else shares it'), "another's": t('Somebody else shares it with you'),
};
const isMine = (paper) => !known.whose || known.whose[paper.id] !== "another's";
const mayChange = (paper) => isMine(paper) || known.manages;

function row(paper) {
  const box = make('input', { type: 'checkbox', 'aria-label': t('Tick {title}', { title: paper.title }), onchange: () => tick(paper.id, box.checked) });
  box.checked = ticked.has(paper.id);
  const people = paper.authors.length > 6 ? t('{authors} and {n} others', { authors: paper.authors.slice(0, 5).join(', '), n: paper.authors.length - 5 }) : paper.authors.join(', ');
  const facts = [people, paper.year, many('{n} page', '{n} pages', paper.pages), t('added {date}', { date: date(paper.added) })].filter(Boolean).join(' · ');
  const element = make('li', { 'data-paper': paper.id },
    box,
    make('div', {},
      make('a', { class: 'title', href: `/page/${paper.id}/1`, target: framed ? null : '_blank', onclick: () => { if (framed) window.name = 'from-library'; } },
        paper.retracted && !/^retract/i.test(paper.title) ? t('RETRACTED: {title}', { title: paper.title }) : paper.title),
      make('div', { class: 'meta faint', title: paper.file }, facts),
      make('div', { class: 'tags' },
        paper.sample && make('span', { class: 'badge' }, t('sample')),
        known.whose && make('span', { class: 'badge', title: SHARING[known.whose[paper.id]] }, SHARED[known.whose[paper.id]]),
        paper.local_only && make('span', { class: 'badge', title: t('Its text never leaves this machine') }, t('local only')),
        paper.tags.map((tag) => (mayChange(paper) ? chip(paper, tag) : make('span', { class: 'badge' }, tag)))),
      paper.notes.map((note, n) => make('div', { class: paper.retracted && n === 0 ? 'note warn' : 'note' }, note)),
      paper.corrected && make('div', { class: 'note' }, paper.corrected)),
    make('div', { class: 'acts' },
      mayChange(paper) && make('button', { type: 'button', 'aria-label': t('Edit {title}', { title: paper.title }), onclick: () => edit(paper) }, t('Edit')),
      isMine(paper) && make('button', { type: 'button', 'aria-label': t('Remove {title}', { title: paper.title }), onclick: () => remove([paper.id]) }, t('Remove'))));
  if (editing === paper.id) element.append(open ?? form(paper));
  return element;
}

function chip(paper, tag) {
  return make('span', { class: 'tag' },
    make('button', { type: 'button', title: t('Show papers tagged {tag}', { tag }), onclick: () => filterBy(tag) }, tag),
    make('button', {
      type: 'button', 'aria-label': t('Remove the tag {tag} from {title}', { tag, title: paper.title }), onclick: () => change('tag', { ids: [paper.id], tag, take: true }),
    }, '×'));
}

function filterBy(tag) {
  by('filter').value = /\s/.test(tag) ? `tag:"${tag}"` : `tag:${tag}`;
  load();
}

async function change(what, body) {
  const said = await attempt(() => ask(`/library/${what}`, body));
  await keepError(load);
  toChat({ type: 'scholion:papers' });
  return said;
}

// Loading clears an error that was just shown: show it again.
async function keepError(work) {
  const shown = by('error').hidden ? null : new Error(by('error').textContent);
  await work();
  if (shown) say(shown);
}

// ---- editing ----

function edit(paper) {
  editing = editing === paper.id ? null : paper.id;
  draw();
  by('papers').querySelector('.edit input')?.focus();
}

function form(paper) {
  const field = (name, label, value, more = {}) => make('label', { class: more.wide ? 'wide' : null }, label,
    make('input', { type: more.type || 'text', name, value: value ?? '', placeholder: more.hint }));
  const check = (name, label, on) => {
    const box = make('input', { type: 'checkbox', name });
    box.checked = on;
    return make('label', { class: 'check' }, box, label);
  };
  return make('form', { class: 'edit', 'data-of': paper.id, 'aria-label': t('Edit {title}', { title: paper.title }), onsubmit: (event) => save(event, paper), onkeydown: (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault(); // else the panel would be closed as well
    edit(paper);
  } },
  field('title', t('Title'), paper.title, { wide: true }),
  field('authors', t('Authors, separated by semicolons'), paper.authors.join('; '), { wide: true, hint: 'Ada Miller; van der Burg, Sven' }),
  field('year', t('Year'), paper.year, { type: 'number' }),
  field('doi', 'DOI', paper.doi), field('arxiv_id', t('arXiv id'), paper.arxiv_id), field('isbn', 'ISBN', paper.isbn),
  check('retracted', t('Retracted'), paper.retracted),
  paper.local_only !== null && check('local', t('Local only: its text never leaves this machine'), paper.local_only),
  make('div', { class: 'faint small wide' }, t('File: {file}', { file: paper.file }), paper.corrected ? ` · ${paper.corrected}` : ''),
  make('div', { class: 'row' },
    make('button', { class: 'main slim' }, t('Save')),
    make('button', { type: 'button', class: 'slim', onclick: () => edit(paper) }, t('Cancel')),
    make('button', { type: 'button', class: 'slim', title: t('Read the PDF again, for example after installing OCR. Tags and corrections stay.'), onclick: () => again([paper.id]) }, t('Read again'))));
}

async function save(event, paper) {
  event.preventDefault();
  const data = new FormData(event.target);
  const text = (name) => String(data.get(name) ?? '');
  const facts = {
    title: text('title'), authors: text('authors'), year: text('year') ? Number(text('year')) : null,
    doi: text('doi'), arxiv_id: text('arxiv_id'), isbn: text('isbn'), retracted: data.has('retracted'),
  };
  const saved = await attempt(async () => {
    await ask('/library/describe', { id: paper.id, facts });
    if (paper.local_only !== null && data.has('local') !== paper.local_only) await ask('/library/local-only', { ids: [paper.id], on: data.has('local') });
    return true;
  });
  if (!saved) return; // the form stays, with the sentence above
  editing = null;
  await load();
  by('papers').querySelector(`[data-paper="${paper.id}"] .title`)?.focus();
  toChat({ type: 'scholion:papers' });
}

async function again(ids) {
  if (await attempt(() => ask('/library/again', { ids }))) {
    editing = null;
    follow(load);
  }
}

// ---- ticked papers ----

function tick(id, on) {
  if (on) ticked.add(id);
  else ticked.delete(id);
  drawTicked();
}

function drawTicked() {
  const bar = by('ticked');
  const ids = [...ticked];
  const tag = /^tag:(?:"([^"]+)"|(\S+))$/i.exec(by('filter').value.trim());
  const name = tag && known.tags.find((one) => one.toLowerCase() === (tag[1] ?? tag[2]).toLowerCase());
  bar.hidden = !ids.length && !name;
  if (bar.hidden) return;
  const button = (label, onclick, more = {}) => make('button', { type: 'button', class: 'slim', onclick, ...more }, label);
  if (!ids.length) {
    fill(bar, make('span', {}, t('Tag {tag}', { tag: name })), button(t('Ask only these'), () => choose({ tag: name }), { class: 'main slim' }));
    return;
  }
  const kept = bar.querySelector('input')?.value ?? '';
  const unfolded = Boolean(bar.querySelector('details')?.open);
  const field = make('input', { type: 'text', placeholder: t('Tag, e.g. thesis'), 'aria-label': t('Tag'), list: 'tags', maxlength: 60 });
  field.value = kept;
  fill(bar,
    make('span', {}, t('{papers} ticked', { papers: papersIn(ids.length) })),
    button(t('Ask only these'), () => choose({ ids }), { class: 'main slim' }),
    field, make('datalist', { id: 'tags' }, known.tags.map((one) => make('option', { value: one }))),
    make('button', { class: 'slim' }, t('Add tag')),
    make('details', {}, make('summary', { class: 'button slim' }, t('More')), make('div', { class: 'row' },
      button(t('Remove this tag'), () => tagTicked(true)),
      button(t('Local only'), () => change('local-only', { ids, on: true }), { title: t('Their text never leaves this machine') }),
      button(t('Not local only'), () => change('local-only', { ids, on: false }), { title: t('Their text may leave with your consent') }),
      known.whose && button(t('Share'), () => change('share', { ids, on: true }), { title: t('Everybody who signs in sees them') }),
      known.whose && button(t('Make private'), () => change('share', { ids, on: false }), { title: t('Only you see them, unless somebody else shares them') }),
      button(t('Remove from library'), () => remove(ids)),
      papers.length > ids.length ? button(t('Tick all shown'), () => { papers.forEach((paper) => ticked.add(paper.id)); draw(); }) : '')),
    button(t('Clear'), () => { ticked.clear(); draw(); }));
  bar.querySelector('details').open = unfolded;
}

async function tagTicked(take) {
  const field = by('ticked').querySelector('input');
  const tag = field.value;
  if (!tag.trim()) return field.focus();
  if (await change('tag', { ids: [...ticked], tag, take })) by('ticked').querySelector('input').value = '';
}
by('ticked').addEventListener('submit', (event) => {
  event.preventDefault();
  tagTicked(false);
});

async function choose(choice) {
  if (framed) return toChat({ type: 'scholion:choose', ...choice });
  if (await attempt(() => ask('/library/choose', choice))) window.location.href = '/'; // a new chat takes the choice
}

// Which papers the chat beside this panel asks.
const heard = (event) => {
  if (event.origin !== origin || event.data?.type !== 'scholion:scope') return;
  by('scope').hidden = false;
  fill(by('scope'), make('span', {}, t('Questions in this chat search {papers}.', { papers: event.data.said })),
    !event.data.all && make('button', { type: 'button', class: 'slim', onclick: () => choose({}) }, t('Search all papers')));
};
if (framed) {
  window.name = '';
  window.parent.addEventListener('message', heard);
  toChat({ type: 'scholion:papers' });
}

// ---- removing ----

async function remove(ids, address = '/library/remove', body = { ids }) {
  const said = await attempt(() => ask(address, body));
  if (!said) return;
  ids.forEach((id) => ticked.delete(id));
  if (said.key) offerUndo(said);
  await load();
}

const removed = new Map(); // what can be undone: key → { n, until }
let counting = null;
const undoText = make('span');
const undoButton = make('button', { type: 'button', onclick: async () => {
  const keys = [...removed.keys()];
  removed.clear();
  tellUndo();
  for (const key of keys) await change('undo', { key });
} });

function offerUndo({ key, papers: n, seconds }) {
  removed.set(key, { n, until: Date.now() + 1000 * seconds });
  by('undo').replaceChildren(undoText, undoButton);
  counting ??= setInterval(tellUndo, 1000);
  tellUndo();
}

function tellUndo() {
  const now = Date.now();
  for (const [key, { until }] of removed) {
    if (until > now) continue;
    removed.delete(key);
    toChat({ type: 'scholion:papers' });
  }
  by('undo').hidden = !removed.size;
  if (!removed.size) {
    clearInterval(counting);
    counting = null;
    return;
  }
  const all = [...removed.values()];
  const n = all.reduce((sum, one) => sum + one.n, 0);
  undoText.textContent = many('{n} paper removed. Answers in your chats still quote it.', '{n} papers removed. Answers in your chats still quote them.', n);
  undoButton.textContent = t('Undo ({seconds})', { seconds: Math.ceil((Math.max(...all.map((one) => one.until)) - now) / 1000) });
}
window.addEventListener('pagehide', () => {
  if (framed) window.parent.removeEventListener('message', heard);
  if (removed.size) navigator.sendBeacon('/library/leave', JSON.stringify({ keys: [...removed.keys()] }));
});

// ---- files that could not be read, and the samples ----

function drawUnread() {
  const failed = known.unread.filter((one) => one.state === 'failed');
  fill(by('unread'), failed.length > 0 && make('h2', {}, many('{n} file could not be read', '{n} files could not be read', failed.length)),
    failed.map((one) => make('div', { class: 'note' }, one.said || one.file)),
    failed.length > 0 && make('p', { class: 'row' },
      make('button', { type: 'button', class: 'slim', onclick: async () => {
        if (await attempt(() => ask('/library/unread', { do: 'retry' }))) follow(load);
      } }, t('Try again')),
      make('button', { type: 'button', class: 'slim', title: t('The library deletes its copies of these files. Your own files stay.'), onclick: () => change('unread', { do: 'forget' }) }, t('Forget these files'))));
}

function drawSamples() {
  const { there, missing } = known.samples;
  fill(by('samples'),
    there > 0 && make('button', { type: 'button', class: 'slim', onclick: () => remove([], '/library/samples', { do: 'remove' }) }, t('Remove the sample papers')),
    missing > 0 && make('button', { type: 'button', class: 'slim', onclick: async () => {
      if (await attempt(() => ask('/library/samples', { do: 'add' }))) follow(load);
    } }, t('Add the sample papers')));
}

// ---- adding ----

const changed = async () => {
  await keepError(load);
  toChat({ type: 'scholion:papers' });
};
const add = (files) => attempt(() => addFiles(files, changed));
by('add-files').addEventListener('click', () => by('files').click());
by('add-folder').addEventListener('click', () => by('folder').click());
for (const id of ['files', 'folder']) {
  by(id).addEventListener('change', (event) => {
    const files = [...event.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
    event.target.value = '';
    add(files);
  });
}

let over = 0;
const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes('Files');
document.addEventListener('dragenter', (event) => { if (hasFiles(event)) { over += 1; by('drop').hidden = false; } });
document.addEventListener('dragleave', (event) => { if (hasFiles(event)) { over -= 1; by('drop').hidden = over > 0 ? false : true; } });
document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
document.addEventListener('drop', async (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  over = 0;
  by('drop').hidden = true;
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  add((await Promise.all(entries.map((entry) => inside(entry)))).flat());
});

/** The files of a dropped file or folder, with their folders' names. */
async function inside(entry, above = '') {
  const name = above + entry.name;
  if (entry.isFile) return [{ file: await new Promise((done, fail) => entry.file(done, fail)), name }];
  const reader = entry.createReader();
  const found = [];
  for (;;) { // the browser gives a hundred at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) break;
    for (const one of some) found.push(...await inside(one, `${name}/`));
  }
  return found;
}

// ---- keyboard, filter, order ----

let waiting;
by('filter').addEventListener('input', () => {
  clearTimeout(waiting);
  waiting = setTimeout(load, 120);
});
by('sort').addEventListener('change', load);

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest('input:not([type=checkbox]), select, textarea, .edit');
  if (event.key === '/' && !field) {
    event.preventDefault();
    by('filter').focus();
    return;
  }
  const here = event.target.closest('#papers > li');
  if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && (!field || field === by('filter'))) {
    const rows = [...by('papers').querySelectorAll('li[data-paper]')];
    const next = rows[Math.max(0, (here ? rows.indexOf(here) : -1) + (event.key === 'ArrowDown' ? 1 : -1))];
    event.preventDefault();
    if (event.key === 'ArrowUp' && rows.indexOf(here) <= 0) by('filter').focus();
    else next?.querySelector('.title').focus();
    return;
  }
  if (!here?.dataset.paper || field) return;
  const paper = papers.find((one) => one.id === here.dataset.paper);
  if ((event.key === 'e' || event.key === 'E') && mayChange(paper)) { event.preventDefault(); edit(paper); }
  else if (event.key === 'Delete' && isMine(paper)) remove([paper.id]);
  else if (event.key === ' ' && event.target.matches('.title')) {
    event.preventDefault();
    const box = here.querySelector('input');
    box.checked = !box.checked;
    tick(paper.id, box.checked);
  }
});

await load();
follow(changed, { onlyRunning: true });
