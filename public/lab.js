// The page /lab: a model inside the page, its answers beside the server's, and what each run took.
import { agreement } from '/public/agree.js';
import { drawAll, inWords, picture, table } from '/public/bars.js';
import { checkFile, chosen, engines, hasRoom, Model } from '/public/lab/engine.js';
import { documentsIn, promptOf } from '/public/lab/prompt.js';
import { during, isWatched, watch } from '/public/lab/requests.js';
import { forget, holdOn, isKept, keepOnly, MEGABYTE, space, weights } from '/public/lab/weights.js';
import { ask, make } from '/public/page.js';
import { many, number, percent, t } from '/public/texts.js';

const SPEEDS = 'scholion-lab-speeds';
const TOKENS = 64;
const HERE = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname); // elsewhere, nothing is sent unasked
const SHORT = { prompt: 'Tell a story.', tokens: 8 };
const UNKNOWN = t('not measured');
const ON_SERVER = t('on the server');

const seconds = (value) => (value === null || value === undefined ? UNKNOWN : t('{n} s', { n: number(value, value < 10 ? 2 : 1) }));
const speed = (perToken) => (perToken ? t('{n} tokens/s', { n: number(1 / perToken, 1) }) : UNKNOWN);
const inMegabytes = (bytes) => t('{n} MB', { n: number(Math.round(bytes / MEGABYTE)) });
const field = (label, input) => make('label', { class: 'field' }, label, input);

const speeds = () => { try { return JSON.parse(localStorage.getItem(SPEEDS)) ?? {}; } catch { return {}; } };
const ofFiles = {}; // those of files from the disk, whose names are not kept
const measuredFor = (model) => ofFiles[model] ?? speeds()[model] ?? {};
const remember = (model, engine, perToken) => {
  const known = { ...measuredFor(model), [engine]: perToken ? 1 / perToken : undefined };
  if (model.startsWith('file ')) ofFiles[model] = known;
  else localStorage.setItem(SPEEDS, JSON.stringify({ ...speeds(), [model]: known }));
};

const place = document.getElementById('lab');
const said = make('p', { class: 'said', role: 'status' });
const say = (text, bad = false) => { said.textContent = text; said.classList.toggle('bad', bad); };

// ---- what was measured ----------------------------------------------------------------------------------------------

const runs = [];
const chart = make('div', { id: 'chart' });
const HEADS = [t('Model'), t('Engine'), t('What'), t('Load'), t('First token'), t('Per token'), t('Total'), t('Tokens')];

const loadOf = (run) => (run.load === null && run.engine !== ON_SERVER ? t('loaded before') : seconds(run.load));
const partsOf = (run) => [
  { kind: 'reading', value: run.load ?? 0, name: t('load'), words: seconds(run.load) },
  { kind: 'first-word', value: run.first ?? 0, name: t('first token'), words: seconds(run.first) },
  { kind: 'draft', value: Math.max(0, run.seconds - (run.first ?? 0)), name: t('writing'), words: seconds(Math.max(0, run.seconds - (run.first ?? 0))) },
].filter(({ value }) => value > 0);
const wholeOf = (run) => (run.load ?? 0) + run.seconds;

const drawRuns = () => {
  const longest = Math.max(...runs.map(wholeOf));
  chart.replaceChildren(
    ...runs.map((run) => {
      const title = `${run.model} · ${run.engine}`;
      const right = `${run.what} · ${seconds(wholeOf(run))} · ${speed(run.perToken)}`;
      return picture(title, right, partsOf(run), longest, inWords(title, partsOf(run)));
    }),
    table(HEADS, runs.map((run) => [run.model, run.engine, run.what, loadOf(run), seconds(run.first), seconds(run.perToken), seconds(run.seconds), run.output ?? UNKNOWN])));
  exporting.disabled = false;
  drawAll();
};
const addRun = (run) => { runs.push({ at: new Date().toISOString(), ...run }); drawRuns(); };

const cell = (value) => {
  const text = value === null || value === undefined ? '' : String(value);
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
};
const download = () => {
  const columns = ['at', 'model', 'engine', 'what', 'load', 'first', 'perToken', 'seconds', 'input', 'output'];
  const rows = [columns.map((name) => cell(name)), ...runs.map((run) => columns.map((name) => cell(run[name])))];
  const address = URL.createObjectURL(new Blob([`\ufeff${rows.map((row) => row.join(',')).join('\r\n')}\r\n`], { type: 'text/csv' }));
  make('a', { href: address, download: 'scholion-lab.csv' }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
};
const exporting = make('button', { type: 'button', disabled: true, onclick: download }, t('Download as CSV'));

// ---- answers --------------------------------------------------------------------------------------------------------

const answers = make('section', { class: 'answers' });
const agreeing = make('section');

const VERDICTS = {
  supported: t('supported by the documents'), weak: t('partially supported'), unsupported: t('not supported by the documents'),
};

const facts = (rows) => make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
const factsOf = (run) => facts([
  [t('First token'), seconds(run.first)], [t('Per token'), seconds(run.perToken)], [t('Total'), seconds(run.seconds)],
  [t('Tokens'), run.output === null ? UNKNOWN : `${run.input ?? UNKNOWN} → ${run.output}`],
]);

const card = (model, engine) => {
  const text = make('p', { class: 'text' });
  const under = make('div');
  const made = make('article', { class: 'card answer' }, make('h2', {}, model), make('p', { class: 'faint' }, engine), text, under);
  return { made, text, under };
};

const verdicts = (sentences) => {
  const judged = sentences.filter(({ support }) => support);
  if (!judged.length) return [make('p', { class: 'checked faint' }, t('Checked: nothing in it could be checked.'))];
  const good = judged.filter(({ support }) => support === 'supported').length;
  return [
    make('p', { class: 'checked' }, t('Checked: {good} of {n} supported by the documents.', { good: number(good), n: many('{n} sentence', '{n} sentences', judged.length) })),
    make('ul', { class: 'verdicts' }, judged.map((one) => make('li', { class: one.support },
      one.text, ' ', one.markers.map((marker) => `[${marker}]`).join(''), ' ',
      make('span', { class: 'faint' }, [VERDICTS[one.support], ...one.reasons].join('; '))))),
  ];
};

const checkedOn = async (under, question, text, documents, signal) => {
  const none = (why) => under.append(make('p', { class: 'checked faint' }, t('Not checked: {why}', { why })));
  if (!documents.length) return none(t('there are no documents to check against.'));
  if (!text.trim()) return none(t('there is no text.'));
  try {
    const told = await ask('/lab/check', { question, answer: text, documents }, { signal });
    return under.append(...verdicts(told.sentences));
  } catch (error) {
    if (signal.aborted) throw error;
    return none(error.message);
  }
};

// ---- the page -------------------------------------------------------------------------------------------------------

const begin = async (state, found, servers) => {
  let loaded = null; // { key, model } of the model in memory
  let working = null; // an AbortController while something runs
  let papers = []; // of the documents that the server filled in last; rather too many than too few
  const own = []; // files opened from the disk

  const models = make('select', {}, state.models.map(({ id, name }) => make('option', { value: id }, name)));
  models.value = state.models.at(-1).id;
  const engineChoice = make('select', {}, make('option', { value: 'auto' }, t('Automatic')),
    found.map(({ id, name, fault }) => make('option', { value: id, disabled: Boolean(fault) }, name)));
  const why = make('p', { class: 'faint', id: 'why' });
  const file = make('input', { type: 'file', accept: '.gguf', class: 'hidden', tabindex: '-1', 'aria-label': t('Open a GGUF file') });
  const question = make('textarea', { rows: 2, required: true, maxlength: 4000 });
  const documents = make('textarea', { rows: 6 });
  const whole = make('input', { type: 'checkbox' });
  const unpack = make('input', { type: 'checkbox', checked: hasRoom() });
  const checks = make('input', { type: 'checkbox', checked: HERE });
  const tokens = make('input', { type: 'number', min: 1, max: state.most_tokens, value: TOKENS });
  const generate = make('button', { class: 'main', type: 'submit' }, t('Generate'));
  const stop = make('button', { type: 'button', disabled: true, onclick: () => working?.abort() }, t('Stop'));
  const load = make('button', { type: 'button' }, t('Load the model'));
  const measure = make('button', { type: 'button' }, t('Measure all engines'));
  const fill = make('button', { type: 'button' }, t('Fill from the library'));
  const counted = make('p', { class: 'faint', id: 'requests' }, t('Requests during an answer are counted here.'));
  const kept = make('p', { class: 'faint', id: 'kept' });
  const server = ['small', 'larger'].map((role) => make('select', {},
    make('option', { value: '' }, t('not asked')), servers.models.map(({ setting, name }) => make('option', { value: setting }, name))));

  const modelNow = () => state.models.find(({ id }) => id === models.value) ?? own.find(({ id }) => id === models.value);
  const engineNow = () => {
    const wanted = found.find(({ id }) => id === engineChoice.value);
    return wanted ? { engine: wanted, why: '' } : chosen(found, measuredFor(models.value));
  };
  const showEngine = () => {
    const { engine, why: reason } = engineNow();
    const known = measuredFor(models.value)[engine.id];
    why.textContent = [
      reason ? t('{engine}: {why}', { engine: engine.name, why: reason }) : t('{engine}, as you chose.', { engine: engine.name }),
      known ? t('Measured here: {n} tokens/s.', { n: number(known, 1) }) : t('Not measured yet.'),
    ].join(' ');
  };
  const showKept = async () => {
    const { bytes, quota } = await space();
    const there = t('Kept in this browser: {size}', { size: inMegabytes(bytes) });
    kept.textContent = quota ? t('{there} of at most {quota}.', { there, quota: inMegabytes(quota) }) : `${there}.`;
  };

  const busy = (is) => {
    for (const one of [generate, load, measure, fill, models, engineChoice, opening, deleting]) one.disabled = is;
    stop.disabled = !is;
  };
  const run = async (work) => {
    if (working) return;
    const mine = new AbortController();
    working = mine;
    busy(true);
    try {
      await work(mine.signal);
    } catch (error) {
      if (mine.signal.aborted) say(t('Stopped.'));
      else say(error.message, true);
    }
    working = null;
    busy(false);
    showEngine();
    await showKept();
  };

  /** Have this model in memory. Returns the seconds that loading took, unless they stand with another run. */
  const ready = async (engine, signal) => {
    const wanted = modelNow();
    const key = `${wanted.id} ${engine.id} ${unpack.checked}`;
    if (loaded?.key === key) return null;
    await loaded?.model.close();
    loaded = null;
    const began = performance.now();
    const notes = [];
    let blobs = wanted.blobs;
    if (!blobs) {
      holdOn(); // the browser may ask the user, so nothing waits for it
      blobs = [];
      for (const one of wanted.files) {
        const there = await isKept(one);
        const got = await weights(one, {
          signal,
          told: (share) => say(there ? t('Reading {name} from this browser: {share}', { name: one.name, share: percent(share) })
            : t('Loading {name} ({size}) from Scholion: {share}', { name: one.name, size: inMegabytes(one.bytes), share: percent(share) })),
        });
        blobs.push(got.blob);
        notes.push(...got.notes);
        if (got.kept) notes.push(t('{name} came from this browser.', { name: one.name }));
      }
    }
    say(t('Starting {model} on {engine} …', { model: wanted.name, engine: engine.name }));
    const model = await Model.load({ assets: state.engine, engine, blobs, name: wanted.name, signal, unpack: unpack.checked });
    loaded = { key, model };
    let took = (performance.now() - began) / 1000;
    if (!measuredFor(wanted.id)[engine.id]) {
      say(t('Measuring {engine} with a short prompt …', { engine: engine.name }));
      const short = await written(SHORT.prompt, { tokens: SHORT.tokens, signal });
      remember(wanted.id, engine.id, short.perToken);
      addRun({ model: wanted.name, engine: engine.name, what: t('short prompt'), load: took, ...short });
      signal.throwIfAborted();
      took = null; // it stands with the short prompt
    }
    say([t('{model} is ready.', { model: wanted.name }), ...notes].join(' '));
    return took;
  };

  /** What the model in memory writes. One that fails is not used again. */
  const written = async (prompt, options) => {
    try {
      return await loaded.model.write(prompt, options);
    } catch (error) {
      await loaded.model.close();
      loaded = null;
      throw error;
    }
  };

  const generated = async (signal) => {
    const asked = question.value;
    const texts = documentsIn(documents.value);
    const prompt = promptOf(asked, texts, state.rule);
    const from = papers;
    const limit = Number(tokens.value) || TOKENS;
    agreeing.replaceChildren();
    const { engine } = engineNow();
    const took = await ready(engine, signal);
    const side = card(modelNow().name, `${t('in this page')} · ${engine.name}`);
    answers.replaceChildren(side.made);
    say(t('Writing …'));
    const show = (n) => { counted.textContent = t('Requests during this answer: {n}', { n: number(n) }); };
    show(0);
    const [answer, n] = await during(() => written(prompt, {
      tokens: limit, signal, told: (piece) => { side.text.append(piece); },
    }), show);
    show(n);
    if (!isWatched()) counted.append(` ${t('(Requests of workers are not seen in this browser.)')}`);
    addRun({ model: modelNow().name, engine: engine.name, what: t('answer'), load: took, ...answer });
    if (answer.end === 'length') side.text.append(' …');
    if (!answer.text) side.text.append(t('(no text)'));
    side.under.append(factsOf(answer));
    say(answer.end === 'stopped' ? t('Stopped.') : '');
    if (signal.aborted) return;
    if (checks.checked) await checkedOn(side.under, asked, answer.text, texts, signal);
    else side.under.append(make('p', { class: 'checked faint' }, t('Not checked: {why}', { why: t('the check is not ticked.') })));
    const settings = server.map(({ value }) => value).filter(Boolean);
    if (settings.length) await onServer([...new Set(settings)], { asked, prompt, from, texts, limit, agreed: [], signal });
  };

  const onServer = async (settings, { asked, prompt, from, texts, limit, agreed, signal }) => {
    say(t('The models on the server are answering …'));
    const told = await ask('/lab/server', { models: settings, prompt, papers: from, tokens: limit, agreed }, { signal });
    say('');
    if (told.consent) {
      agreeing.replaceChildren(agreement(told.consent, {
        yes: (seals) => {
          if (working) return;
          agreeing.replaceChildren();
          run((again) => onServer(settings, { asked, prompt, from, texts, limit, agreed: seals, signal: again }));
        },
        no: () => { agreeing.replaceChildren(); say(t('Nothing was sent.')); },
      }));
      agreeing.querySelector('button').focus();
      return;
    }
    for (const one of told.sides) {
      const side = card(one.model, `${ON_SERVER} · ${one.where}`);
      const writing = one.first_seconds === null ? null : one.seconds - one.first_seconds;
      const made = {
        first: one.first_seconds, seconds: one.seconds, input: one.input_tokens, output: one.output_tokens,
        perToken: writing !== null && one.output_tokens > 1 ? writing / (one.output_tokens - 1) : null,
      };
      side.text.append(one.text || t('(no text)'), one.cut_off ? ' …' : '');
      side.under.append(factsOf(made));
      answers.append(side.made);
      addRun({ model: one.model, engine: ON_SERVER, what: t('answer'), load: null, ...made });
      if (checks.checked) await checkedOn(side.under, asked, one.text, texts, signal);
    }
  };

  const opening = make('button', { type: 'button', onclick: () => file.click() }, t('Open a GGUF file …'));
  const deleting = make('button', {
    type: 'button',
    onclick: async () => { await forget(); await showKept(); say(t('The kept weights and the kept page were deleted.')); },
  }, t('Delete kept weights and page'));
  file.addEventListener('change', async () => {
    const [one] = file.files;
    file.value = '';
    if (!one) return;
    try {
      await checkFile(one);
      const id = `file ${one.name} ${one.size} ${one.lastModified}`;
      if (!own.some((other) => other.id === id)) {
        own.push({ id, name: one.name, blobs: [one] });
        models.append(make('option', { value: id }, one.name));
      }
      models.value = id;
      showEngine();
      say(t('{name} stays on your disk; it is not uploaded.', { name: one.name }));
    } catch (error) { say(error.message, true); }
  });
  models.addEventListener('change', showEngine);
  engineChoice.addEventListener('change', showEngine);
  load.addEventListener('click', () => run(async (signal) => { await ready(engineNow().engine, signal); }));
  measure.addEventListener('click', () => run(async (signal) => {
    await loaded?.model.close(); // else the engine that has it would not be measured
    loaded = null;
    for (const engine of found.filter(({ fault }) => !fault)) {
      remember(models.value, engine.id, null);
      await ready(engine, signal);
    }
  }));
  fill.addEventListener('click', () => run(async (signal) => {
    if (!question.value.trim()) throw new Error(t('Type a question first.'));
    say(t('Searching your library …'));
    const told = await ask('/lab/passages', { question: question.value, whole: whole.checked }, { signal });
    documents.value = told.documents.map(({ text }) => text).join('\n\n');
    papers = [...new Set(told.documents.map(({ paper }) => paper))];
    say(t('From {cites}.', { cites: [...new Set(told.documents.map(({ cite }) => cite))].join('; ') }));
  }));

  place.replaceChildren(
    make('form', { onsubmit: (event) => { event.preventDefault(); run(generated); } },
      make('div', { class: 'pair' }, field(t('Model'), models), field(t('Engine'), engineChoice)),
      why,
      make('div', { class: 'row' }, load, measure, opening, file,
        make('label', { class: 'tick' }, unpack, t('Write the weights out for WebAssembly (faster, 0.5 GB more memory)'))),
      field(t('Question'), question),
      field(t('Documents, separated by empty lines'), documents),
      make('div', { class: 'row' }, fill, make('label', { class: 'tick' }, whole, t('Whole passages instead of sentences'))),
      servers.models.length > 0 && make('fieldset', {}, make('legend', {}, t('The same prompt on the server')),
        make('div', { class: 'pair' }, field(t('Small model'), server[0]), field(t('Larger model'), server[1]))),
      make('div', { class: 'row' }, generate, stop,
        make('label', { class: 'tick' }, t('At most'), tokens, t('tokens')),
        make('label', { class: 'tick' }, checks, t('Check the answer on the server afterwards')))),
    said, counted, agreeing, answers,
    make('section', {}, make('h2', {}, t('What each run took')), chart, make('div', { class: 'row' }, exporting)),
    make('section', {}, make('h2', {}, t('Kept weights')), kept, make('div', { class: 'row' }, deleting)),
    make('p', { class: 'faint' }, t('Engine: wllama {version}, which is llama.cpp.', { version: state.engine.version }), ' ',
      make('a', { href: state.engine.licences }, t('Licences'))));
  chart.append(make('p', { class: 'faint' }, t('Nothing was measured yet.')));
  showEngine();
  await keepOnly(state.models.flatMap(({ files }) => files));
  await showKept();
  place.dataset.ready = 'yes';
};

try {
  const [state, found, servers] = await Promise.all([
    ask('/lab/state.json'), engines(), ask('/lab/servers.json').catch(() => ({ models: [] })),
  ]);
  await watch();
  await begin(state, found, servers);
} catch (error) {
  place.replaceChildren(make('p', { class: 'bad' }, error.message));
}
