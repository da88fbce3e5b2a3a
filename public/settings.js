// The settings page: which models answer, keys, downloads, values. The server checks everything that is sent from here.
import { ask, make } from '/public/page.js';
import { chosen, many, names, number, t } from '/public/texts.js';

const root = document.querySelector('#settings');
const outputs = new Map(); // what a test of a model said, by setting
let data; // the state as the server told it last
let found = null; // servers on this machine; null while they are looked for
let arrivedNow = null; // a download that has just ended

const toast = make('div', { id: 'said', role: 'status', 'aria-live': 'polite' });
document.body.append(toast);
let hiding;

function say(text, bad = false) {
  toast.textContent = text;
  toast.className = text ? `shown${bad ? ' bad' : ''}` : '';
  clearTimeout(hiding);
  if (text) hiding = setTimeout(() => say(''), bad ? 15000 : 6000);
}

/** Do something on the server, with the buttons around the click off meanwhile; then show the state it returns. */
async function act(button, address, body, done, meanwhile) {
  const before = button?.textContent;
  if (button) button.disabled = true;
  if (button && meanwhile) button.textContent = meanwhile;
  say('');
  try {
    const reply = await ask(address, body);
    if (reply.drafter) data = reply;
    render();
    if (done) say(typeof done === 'function' ? done(reply) : done);
    return reply;
  } catch (error) {
    if (button) { button.disabled = false; button.textContent = before; }
    say(error.message, true);
    return null;
  }
}

const ROLES = {
  drafter: {
    title: t('Drafter'), about: t('Answers every question first, on this machine.'),
    use: t('Use as drafter'), undo: t('Use the built-in model'), none: '',
  },
  expert: {
    title: t('Larger model'), about: t('Reviews drafts in the modes Auto and Refine, and when you press Refine.'),
    use: t('Use as larger model'), undo: t('Use no larger model'), none: t('None. Drafts are shown as they are.'),
  },
};

function useButton(role, setting, name) {
  const now = data[role];
  if (now.setting === setting) return make('span', { class: 'tag in-use' }, role === 'drafter' ? t('in use as drafter') : t('in use as larger model'));
  return make('button', {
    type: 'button', disabled: Boolean(now.fixed), 'data-key': `${role} ${setting}`,
    title: now.fixed ? t('{variable} is set, so it decides.', { variable: now.fixed }) : null,
    onclick: (event) => act(event.currentTarget, '/settings/choose', { role, model: setting },
      role === 'drafter' ? t('{model} is now the drafter, from your next question on.', { model: name })
        : t('{model} is now the larger model, from your next question on.', { model: name }), t('Loading …')),
  }, ROLES[role].use);
}

function testButton(setting) {
  return make('button', { type: 'button', class: 'quiet', 'data-key': `test ${setting}`,
    onclick: (event) => test(event.currentTarget, setting) }, t('Test'));
}

function output(setting) {
  if (!outputs.has(setting)) outputs.set(setting, make('div', { class: 'output', 'aria-live': 'polite' }));
  return outputs.get(setting);
}

async function test(button, setting, agreed = '') {
  const place = output(setting);
  place.replaceChildren(make('p', { class: 'faint' }, t('Asking it a short question … The first time, it may have to load.')));
  if (button) button.disabled = true;
  try {
    const reply = await ask('/settings/test', { model: setting, agreed });
    if (reply.consent) {
      place.replaceChildren(consent(reply, setting));
      place.querySelector('button').focus();
      return;
    }
    const speed = reply.tokens_per_second === null ? t('speed not reported') : t('{n} tokens per second', { n: number(reply.tokens_per_second, 1) });
    place.replaceChildren(
      make('p', { class: 'faint' }, t('“{text}”', { text: reply.question })),
      make('blockquote', {}, reply.text),
      make('p', { class: 'faint' }, `${t('{n} s', { n: number(reply.seconds, 1) })} · ${speed}`),
    );
  } catch (error) {
    place.replaceChildren(make('p', { class: 'bad', role: 'alert' }, error.message));
  } finally {
    if (button) button.disabled = false;
  }
}

function consent(reply, setting) {
  return make('div', { class: 'card' },
    make('p', {}, make('strong', {}, t('May this leave your machine?')), ' ', t('This model runs elsewhere. Nothing of your papers is in the test.')),
    make('dl', {}, reply.consent.flatMap(([label, value]) => [make('dt', {}, label), make('dd', {}, value)])),
    make('details', {}, make('summary', {}, t('Exactly what would be sent')), make('pre', {}, reply.text)),
    make('div', { class: 'row' },
      make('button', { type: 'button', class: 'main', onclick: () => test(null, setting, reply.agree) }, t('Send once')),
      make('button', { type: 'button', onclick: () => output(setting).replaceChildren() }, t('Not now'))));
}

function inUse(role) {
  const now = data[role], words = ROLES[role];
  const chosen = now.setting !== null && now.setting !== undefined;
  const shown = role === 'expert' && !chosen ? words.none : now.name || now.setting;
  return make('section', { class: 'card', id: role, 'aria-label': words.title },
    make('h2', {}, words.title),
    make('p', { class: 'faint' }, words.about),
    make('p', { class: shown === words.none ? '' : 'model' }, shown),
    now.address ? make('p', { class: 'faint address' }, now.address) : null,
    role === 'drafter' && !chosen ? make('p', { class: 'faint' }, t('The built-in model, trained for such answers (“answers”). It needs no other program.')) : null,
    now.problem ? make('p', { class: 'bad' }, now.problem) : null,
    now.fixed ? make('p', { class: 'fixed' }, make('code', {}, now.fixed), ' ', t('is set in the environment or in .env, so it decides. Remove it there and restart to choose here.')) : null,
    make('div', { class: 'row' },
      shown !== words.none && !now.problem ? testButton(now.setting || '') : null,
      chosen || now.problem ? make('button', { type: 'button', 'data-key': `undo ${role}`, disabled: Boolean(now.fixed),
        onclick: (event) => act(event.currentTarget, '/settings/choose', { role, model: null },
          role === 'drafter' ? t('The built-in model drafts again.') : t('No larger model is used.'), t('Loading …')) }, words.undo) : null),
    shown !== words.none ? output(now.setting || '') : null);
}

function modelRow({ setting, name, detail, refused, advice, extra = [], drafts = true }) {
  const elsewhere = ['drafter', 'expert'].some((role) => data[role].setting === setting);
  return make('div', { class: 'model-row', 'data-model': setting },
    make('div', { class: 'about' },
      make('div', { class: 'name' }, name),
      make('div', { class: 'faint' }, detail),
      refused ? make('div', { class: 'faint' }, refused) : null,
      advice ? make('details', { class: 'faint' }, make('summary', {}, t('Its context window may be too small')), advice) : null),
    refused ? null : make('div', { class: 'row' },
      drafts ? useButton('drafter', setting, name) : null, useButton('expert', setting, name),
      elsewhere ? null : testButton(setting), extra),
    refused || elsewhere ? null : output(setting)); // a model in use shows its test above
}

function here() {
  const parts = [];
  if (found === null) parts.push(make('p', { class: 'faint' }, t('Looking for model servers on this machine …')));
  else if (found.error) parts.push(make('p', { class: 'bad' }, found.error));
  else if (!found.length) {
    parts.push(make('p', { class: 'faint' }, t('No model server answers on this machine. Start one, such as Ollama or LM Studio, and look again, or get a model below.')));
  }
  for (const engine of found?.length ? found : []) {
    parts.push(make('div', { class: 'card engine' },
      make('h3', {}, engine.name, ' ', make('span', { class: 'faint' }, engine.address)),
      engine.locked ? make('p', { class: 'faint' }, t('It requires a key, so its models are unknown. Add it below with its key.')) : null,
      engine.note ? make('p', { class: 'faint' }, engine.note) : null,
      !engine.locked && !engine.models.length ? make('p', { class: 'faint' }, t('It serves no model yet.')) : null,
      engine.models.map(modelRow)));
  }
  if (data.files.length) {
    parts.push(make('div', { class: 'card engine' },
      make('h3', {}, t('Files in your library')),
      data.files.map((file) => modelRow({ ...file, name: file.setting, detail: [file.detail, file.licence].filter(Boolean).join(' · ') }))));
  }
  return parts;
}

async function look() {
  found = null;
  render();
  try {
    found = (await ask('/settings/servers')).servers;
  } catch (error) {
    found = { error: error.message };
  }
  render();
}

function offer() {
  const engine = found?.length ? found.find((one) => one.models.some((model) => !model.refused)) : null;
  if (!engine || data.declined || data.drafter.setting || data.drafter.fixed) return null;
  return make('div', { class: 'card offer', id: 'offer' },
    make('p', {}, t('{server} runs on this machine. A model larger than the built-in one writes better drafts: choose one below, and press Test to see how fast it is.', { server: engine.name })),
    make('button', { type: 'button', onclick: async (event) => {
      if (await act(event.currentTarget, '/settings/offer/decline', {})) { data.declined = true; render(); }
    } }, t('Not now')));
}

function typed() {
  return data.servers.map((server) => {
    const key = server.key === 'keyring' ? t('key in the system keyring') : server.key === 'file' ? t('key in a file only you can read') : t('no key');
    const local = /^https?:\/\/(localhost|127\.[\d.]+|\[::1\])(:|\/)/.test(server.address);
    const plain = server.plain && !local ? ` · ${t('not encrypted: others on the network can read what is sent')}` : '';
    return modelRow({ setting: server.setting, name: server.name, detail: `${server.address} · ${key}${plain}`, drafts: local,
      extra: [make('button', { type: 'button', class: 'quiet', 'aria-label': t('Remove {title}', { title: server.name }),
        onclick: (event) => act(event.currentTarget, '/settings/server/forget', { model: server.setting },
          t('{model} and its key are removed.', { model: server.name })) }, t('Remove'))] });
  });
}

function form() {
  const models = make('datalist', { id: 'known-models' });
  const address = make('input', { type: 'text', name: 'address', list: 'known-addresses', required: true, autocomplete: 'off',
    spellcheck: 'false', placeholder: 'https://api.openai.com/v1', oninput: () => {
      const known = data.providers.find((one) => one.address === address.value.trim());
      models.replaceChildren(...(known?.models || []).map((name) => make('option', { value: name })));
    } });
  const wrong = make('p', { class: 'bad', role: 'alert' });
  const made = make('form', { class: 'fields', id: 'add-server', autocomplete: 'off', onsubmit: async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(made));
    const button = made.querySelector('button');
    button.disabled = true;
    wrong.textContent = '';
    try {
      data = await ask('/settings/server', fields);
      made.reset();
      render();
      say(t('Added. Test it, or choose it as the larger model.'));
    } catch (error) {
      wrong.textContent = error.message;
    }
    button.disabled = false;
  } },
    make('label', {}, t('Address'), address),
    make('datalist', { id: 'known-addresses' }, data.providers.map((one) => make('option', { value: one.address }, one.name))),
    make('label', {}, t('Model'), make('input', { type: 'text', name: 'model', list: 'known-models', autocomplete: 'off', spellcheck: 'false', placeholder: 'gpt-5-mini' })),
    models,
    make('label', {}, t('Key, if it needs one'), make('input', { type: 'password', name: 'key', autocomplete: 'off' })),
    make('button', { type: 'submit' }, t('Add')), wrong);
  return made;
}

const dialog = make('dialog', { id: 'go-online', 'aria-labelledby': 'go-online-title' });
document.body.append(dialog);

function askOnline(row) {
  dialog.replaceChildren(
    make('h2', { id: 'go-online-title' }, t('Go online to download this?')),
    make('p', {}, t('{model}, {size}, from {host} ({repository}).', { model: row.name, size: row.size, host: row.host, repository: row.repository })),
    make('p', {}, `${t('Licence: {licence}', { licence: row.licence })}. ${row.terms}`),
    make('p', { class: 'faint' }, t('{host} learns the address of this machine and which model you want, and nothing about your papers. The file is checked when it is complete.', { host: row.host })),
    make('div', { class: 'row' },
      make('button', { type: 'button', class: 'main', onclick: async () => {
        dialog.close();
        const pull = await act(null, '/settings/pull', { name: row.name, host: row.host });
        if (pull) { row.pull = pull; render(); poll(); }
      } }, row.arrived || row.pull?.here ? t('Go online and continue') : t('Go online and download')),
      make('button', { type: 'button', onclick: () => dialog.close() }, t('Stay offline'))));
  dialog.showModal();
}

function download(row) {
  const pull = row.pull, running = pull?.running;
  const right = running
    ? make('button', { type: 'button', 'data-key': `stop ${row.name}`, disabled: pull.state === 'stopping',
        onclick: (event) => act(event.currentTarget, '/settings/pull/stop', { name: row.name }).then(poll) },
      pull.state === 'stopping' ? t('Stopping …') : t('Cancel'))
    : make('button', { type: 'button', 'data-key': `get ${row.name}`, onclick: () => askOnline(row) },
      row.arrived || pull?.here ? t('Continue') : t('Download'));
  const words = !pull ? null : running
    ? [make('progress', { max: pull.total || 1, value: pull.here, 'aria-label': t('Download of {model}', { model: row.name }) }),
      make('span', { class: 'faint' }, pull.state === 'checking' ? t('Checking the file …') : pull.words)]
    : pull.state === 'stopped' ? [make('span', { class: 'faint' }, t('Stopped at {progress}. Continue takes up from there.', { progress: pull.words }))]
      : [make('span', { class: 'bad' }, `${pull.said} ${t('Press Continue to try again.')}`)];
  return make('div', { class: 'model-row', 'data-download': row.name },
    make('div', { class: 'about' },
      make('div', { class: 'name' }, row.name, ' ', row.recommended ? make('span', { class: 'tag' }, t('recommended here')) : null),
      make('div', {}, row.good_for),
      make('div', { class: 'faint' }, `${t('{size} to download', { size: row.size })} · ${row.detail}`),
      make('div', { class: 'faint', title: row.terms }, row.commercial === 'no' ? t('Licence: {licence}, no commercial use', row) : row.commercial === 'conditions' ? t('Licence: {licence}, with conditions', row) : t('Licence: {licence}', row))),
    make('div', { class: 'row' }, right),
    words ? make('div', { class: 'progress' }, words) : null);
}

let allShown = false;
function downloads() {
  const first = data.downloads.filter((row) => row.recommended || row.pull || row.arrived);
  const rest = data.downloads.filter((row) => !first.includes(row));
  if (!first.length || !rest.length) return data.downloads.map(download);
  const more = make('details', { open: allShown, ontoggle: (event) => { allShown = event.currentTarget.open; } },
    make('summary', {}, t('{n} more that fit', { n: rest.length })), rest.map(download));
  return [...first.map(download), more];
}

function justArrived() {
  const name = arrivedNow;
  if (!name || name === data.drafter.setting || name === data.expert.setting || !data.files.some((file) => file.setting === name)) return null;
  return make('div', { class: 'card offer', id: 'arrived' }, make('p', {}, t('{model} is on this machine. Use it?', { model: name })),
    make('div', { class: 'row' }, useButton('drafter', name, name), useButton('expert', name, name)));
}

let polling = false;
async function poll() {
  if (polling) return;
  polling = true;
  try {
    for (;;) {
      const pulls = await ask('/settings/pulls');
      for (const [name, pull] of Object.entries(pulls)) {
        const row = data.downloads.find((one) => one.name === name);
        if (row && pull.state === 'done') {
          arrivedNow = name;
          data = await ask('/settings/state');
          say(t('{model} is on this machine.', { model: name }));
        } else if (row) row.pull = pull;
      }
      render(['downloads', ...(arrivedNow ? ['here'] : [])]);
      if (!Object.values(pulls).some((pull) => pull.running)) break;
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  } catch (error) {
    say(error.message, true);
  } finally {
    polling = false;
  }
}

function value(row) {
  const id = `value-${row.name}`;
  const change = (field) => {
    const text = field.value.trim();
    field.defaultValue = field.value; // it is sent, so it need not be kept when the page is drawn again
    const sent = text === '' ? null : row.kind === 'choice' ? text : Number(text);
    act(null, '/settings/value', { name: row.name, value: sent }, t('{setting} is changed.', { setting: row.label })).then((reply) => { if (!reply) render(); });
  };
  const common = { id, disabled: Boolean(row.fixed), 'data-key': id, 'aria-describedby': `${id}-about`, onchange: (event) => change(event.currentTarget) };
  const field = row.kind === 'choice'
    ? make('select', common, row.options.map(([name, label]) => make('option', { value: name, selected: (row.value ?? '') === name }, label)))
    : make('input', { ...common, type: 'number', min: row.low, max: row.high, step: row.step, value: row.value ?? '', placeholder: row.value === null ? row.unset : '' });
  return make('div', { class: 'value' },
    make('div', { class: 'about' }, make('label', { for: id, class: 'name' }, row.label), make('div', { class: 'faint', id: `${id}-about` }, row.meaning),
      row.fixed ? make('div', { class: 'fixed' }, t('{variable} is set, so it decides.', { variable: row.fixed })) : null),
    make('div', { class: 'row' }, field,
      row.chosen ? make('button', { type: 'button', class: 'quiet', 'aria-label': t('Default for {setting}', { setting: row.label }),
        onclick: (event) => act(event.currentTarget, '/settings/value', { name: row.name, value: null }, t('{setting} is as it was delivered.', { setting: row.label })) }, t('Default')) : null));
}

const sections = {
  faults: () => data.faults.map((fault) => make('p', { class: 'bad', role: 'alert' }, fault)),
  roles: () => [make('div', { class: 'roles' }, inUse('drafter'), inUse('expert'))],
  here: () => [offer(), justArrived(), ...here()],
  typed,
  downloads: () => (data.downloads.length ? downloads()
    : [make('p', { class: 'faint' }, t('No further model that Scholion knows fits into the memory that is free now.'))]),
  values: () => data.values.slice(0, 5).map(value),
  budget: () => [
    data.privacy.said ? make('p', {}, data.privacy.said) : null,
    make('p', { class: 'faint' }, t('To keep everything on this machine whatever anyone agrees to:'), ' ', make('code', {}, 'python -m rag privacy library local-only'),
      '; ', t('for single papers:'), ' ', make('code', {}, 'python -m rag privacy local-only PAPER'), '. ', t('Only the command changes this, so no web page can.')),
    data.privacy.used ? make('p', { class: 'faint' }, data.privacy.used) : null,
    ...data.values.slice(5).map(value)],
  elsewhere: () => [make('table', {}, make('tbody', {}, data.elsewhere.map((row) => make('tr', {},
    make('td', {}, row.label), make('td', {}, make('code', {}, row.variable)), make('td', { class: 'number' }, row.value === null ? t('automatic') : number(row.value))))))],
};

function render(only = Object.keys(sections)) {
  const key = document.activeElement?.dataset?.key;
  for (const name of only) {
    const place = document.querySelector(`#part-${name}`);
    if (place && !isTypedIn(place)) place.replaceChildren(...sections[name]().filter(Boolean));
  }
  if (key && !document.activeElement?.dataset?.key) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** Whether a value is being typed there that is not sent yet: it would be lost. */
function isTypedIn(place) {
  const field = document.activeElement;
  return field?.tagName === 'INPUT' && place.contains(field) && field.value !== field.defaultValue;
}

/** The language of the interface: that of the browser, or one that is chosen here and kept in this browser. */
function languages() {
  const choice = make('select', { id: 'language', onchange: async () => {
    try {
      await ask('/settings/language', { language: choice.value });
      window.location.reload();
    } catch (error) {
      say(error.message, true);
    }
  } }, make('option', { value: '' }, t('As in the browser')),
  Object.entries(names).map(([code, name]) => make('option', { value: code, lang: code, selected: code === chosen }, name)));
  return make('div', { class: 'value' },
    make('div', { class: 'about' }, make('label', { for: 'language', class: 'name' }, t('Language of the interface')),
      make('div', { class: 'faint' }, t('Of the pages and messages. Answers are in the language of your papers and models.'))),
    make('div', { class: 'row' }, choice));
}

function build() {
  const part = (name) => make('div', { id: `part-${name}` });
  const keys = data.key_place === 'keyring' ? t('Its key goes into the system keyring, and is not shown again.')
    : t('Its key goes into a file in your library that only you can read, and is not shown again.');
  root.replaceChildren(
    part('faults'), part('roles'),
    make('div', { class: 'head' }, make('h2', {}, t('On this machine')), make('button', { type: 'button', class: 'quiet', id: 'look', onclick: look }, t('Look again'))),
    make('p', { class: 'faint' }, data.machine), part('here'),
    make('h2', {}, t('Another address')),
    make('p', { class: 'faint' }, `${t('Any server with an OpenAI-compatible interface.')} ${keys} ${t('A server that is not on this machine is asked only after you have seen what would be sent.')}`),
    make('div', { class: 'card engine' }, part('typed'), form()),
    make('h2', {}, t('Get a model')),
    make('p', { class: 'faint' }, t('Models that fit this machine. Nothing is downloaded before you agree to go online.')),
    make('div', { class: 'card engine' }, part('downloads')),
    make('h2', {}, t('Language')), make('div', { class: 'card engine' }, make('div', {}, languages())),
    make('h2', {}, t('Answers')), make('div', { class: 'card engine' }, part('values')),
    make('h2', {}, t('Privacy and budget')), make('div', { class: 'card engine' }, part('budget')),
    make('details', { class: 'more' }, make('summary', {}, t('Settings that need a restart')),
      make('p', { class: 'faint' }, t('Set these as environment variables or in the file .env beside app.py, and start Scholion again. docs/settings.md lists them all.')),
      make('div', { class: 'scrolls' }, part('elsewhere'))));
  render();
}

try {
  data = await ask('/settings/state');
  build();
  look();
  if (data.downloads.some((row) => row.pull?.running)) poll();
} catch (error) {
  root.replaceChildren(make('p', { class: 'bad', role: 'alert' }, error.message));
}
