// Draws the figures of /insight as SVG, and the same as tables. Null means "not measured" and is never drawn as zero.
import { ask, make } from '/public/page.js';

const STAGES = ['search', 'reading', 'first word', 'draft', 'check', 'refinement', 'other'];
const MEANING = {
  search: 'looking for passages',
  reading: 'the reader picks the words that answer',
  'first word': 'waiting for the drafter’s first word',
  draft: 'writing the draft',
  check: 'checking it against the passages',
  refinement: 'the larger model',
  other: 'everything else',
};
const NONE = 'not measured';
const LETTER = 6.6; // pixels of a letter at 12 px, generously

const svgNode = (name, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

const seconds = (value) => {
  if (value === null || value === undefined) return NONE;
  if (value < 0.01) return 'under 0.01 s';
  return value < 1 ? `${value.toFixed(2)} s` : value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
};
const share = (value) => (value === null || value === undefined ? NONE : `${Math.round(value * 100)} %`);
const many = (n, noun) => `${n.toLocaleString('en-GB')} ${noun}${n === 1 ? '' : 's'}`;
const speed = (value) => (value === null || value === undefined ? NONE : `${value.toFixed(value < 10 ? 1 : 0)} tokens/s`);

const money = (value) => {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return 'free';
  return value < 0.0001 ? 'less than $0.0001' : `$${value < 1 ? value.toFixed(4) : value.toFixed(2)}`;
};
const energy = (value) => (value === null || value === undefined ? NONE : `${Number(value.toPrecision(2))} Wh`);

/** The card of a sum: the known part, and below it for how many answers it is known. */
const bigSum = (part, words, name) => {
  if (!part.known) return big(part.unknown ? NONE : 'none', part.unknown ? name : `${name}: no model was asked`);
  return big(words(part.sum), part.unknown ? `${name} of ${many(part.known, 'answer')}; ${NONE} for ${part.unknown}` : name);
};

/** A sum with its missing parts: never as if these were zero. */
const sum = (part, words) => {
  if (!part.known && !part.unknown) return 'no model was asked';
  if (!part.known) return NONE;
  const known = words(part.sum);
  return part.unknown ? `${known} for ${part.known}; ${NONE} for ${part.unknown}` : known;
};

const drawn = []; // [function that draws into a width] so that a resize draws again
const bar = (parts, whole, { label, height = 28 }) => {
  const svg = svgNode('svg', { role: 'img', 'aria-label': label, height });
  const rest = make('p', { class: 'faint' });
  const draw = () => {
    const width = svg.parentElement?.clientWidth || 600;
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.replaceChildren();
    rest.replaceChildren();
    let x = 0;
    for (const { kind, value, name, words } of parts) {
      const wide = whole ? (value / whole) * width : 0;
      svg.append(svgNode('rect', { class: kind, x, y: 2, width: Math.max(wide - 1, 0.5), height: height - 4, rx: 3 }));
      const fits = [`${name} ${words}`, name].find((text) => text.length * LETTER + 10 < wide);
      if (fits) svg.append(svgNode('text', { x: x + 6, y: height / 2 + 4 }, fits));
      if (fits !== `${name} ${words}`) {
        const swatch = svgNode('svg', { class: 'swatch', 'aria-hidden': 'true' });
        swatch.append(svgNode('rect', { class: kind, width: 10, height: 10 }));
        rest.append(make('span', { class: 'part' }, swatch, `${name} ${words}`), ' ');
      }
      x += wide;
    }
    rest.hidden = !rest.childNodes.length;
  };
  drawn.push(draw);
  return [svg, rest];
};

const picture = (title, right, parts, whole, label) => make('figure', { class: 'picture' },
  make('figcaption', {}, make('b', {}, title), make('span', { class: 'faint' }, right)),
  ...bar(parts, whole, { label }));

const staged = (stages) => STAGES.filter((name) => stages?.[name]).map((name) => ({
  kind: name.replace(' ', '-'), value: stages[name], name, words: seconds(stages[name]),
}));
const inWords = (title, parts) => `${title}: ${parts.map(({ name, words }) => `${name} ${words}`).join(', ')}`;

const ofStages = (title, row, longest) => {
  const parts = staged(row.stages);
  if (!parts.length) return make('figure', { class: 'picture' }, make('figcaption', {},
    make('b', {}, title), make('span', { class: 'faint' }, `times ${NONE}`)));
  return picture(title, seconds(row.seconds), parts, longest, inWords(title, parts));
};
const length = (row) => Object.values(row.stages ?? {}).reduce((all, value) => all + value, 0);

const table = (heads, rows) => make('details', {},
  make('summary', {}, 'The same as a table'),
  make('div', { class: 'scrolls' }, make('table', {},
    make('thead', {}, make('tr', {}, heads.map((head) => make('th', { scope: 'col' }, head)))),
    make('tbody', {}, rows.map((row) => make('tr', {}, row.map((cell, n) => (
      n ? make('td', {}, String(cell)) : make('th', { scope: 'row' }, String(cell))))))))));

const section = (title, ...children) => make('section', {}, make('h2', {}, title), ...children);
const big = (value, words) => make('div', { class: 'card' }, make('b', {}, value), make('span', { class: 'faint' }, words));

const overview = ({ all, n_chats: chats }) => make('div', { class: 'figures' },
  big(many(all.answers, 'answer'), `in ${many(chats, 'chat')}`),
  big(seconds(all.first_word), 'to the first word (median)'),
  bigSum(all.usd, money, 'money'),
  bigSum(all.wh, energy, 'energy'));

const time = ({ all }) => section('Where the time goes',
  all.stages
    ? make('p', {}, `On average an answer took ${seconds(all.seconds)}. Measured for ${all.measured} of ${many(all.answers, 'answer')}.`)
    : make('p', {}, 'Your answers are from before Scholion stored times. The next answer will appear here.'),
  all.stages && ofStages('An average answer', all, length(all)),
  all.stages && table(['Stage', 'What it is', 'Seconds'],
    STAGES.filter((name) => all.stages[name]).map((name) => [name, MEANING[name], seconds(all.stages[name])])));

const models = ({ models: rows, all }) => {
  const fastest = Math.max(0, ...rows.map((row) => row.tokens_per_second ?? 0));
  const asked = all.larger_asked
    ? `A larger model was asked for ${many(all.larger_asked, 'answer')}; its text was shown for ${all.larger_shown}.`
    : 'No larger model was asked.';
  const where = (row) => ({ true: 'elsewhere', false: 'on this machine' }[row.elsewhere] ?? 'place unknown');
  return section('Drafter and larger model', make('p', {}, asked),
    ...rows.map((row) => {
      const title = `${row.larger ? 'Larger model' : 'Drafter'}: ${row.model}`;
      const right = `${many(row.texts, 'text')}, ${where(row)} · ${seconds(row.seconds)} each (median)`;
      if (row.tokens_per_second === null) return make('figure', { class: 'picture' }, make('figcaption', {},
        make('b', {}, title), make('span', { class: 'faint' }, `${right} · speed ${NONE}`)));
      const parts = [{
        kind: row.larger ? 'refinement' : 'draft', value: row.tokens_per_second, name: 'writes', words: speed(row.tokens_per_second),
      }];
      return picture(title, right, parts, fastest, inWords(title, parts));
    }),
    rows.length > 0 && table(['Model', 'Role', 'Where', 'Texts', 'Speed (median)', 'Time (median)', 'Tokens written', 'Money', 'Energy'],
      rows.map((row) => [row.model, row.larger ? 'larger model' : 'drafter', where(row), row.texts, speed(row.tokens_per_second),
        seconds(row.seconds), sum(row.tokens, (n) => n.toLocaleString('en-GB')), sum(row.usd, money), sum(row.wh, energy)])));
};

const confidence = ({ confidence: bins, all }) => {
  const most = Math.max(1, ...bins.map((bin) => bin.answers));
  const total = bins.reduce((n, bin) => n + bin.answers, 0);
  const span = (bin) => `${Math.round(bin.from * 100)} to ${Math.round(bin.to * 100)} %`;
  if (!total) return section('Confidence', make('p', {}, `The confidence of your answers was ${NONE}.`));
  return section('Confidence',
    make('p', {}, `The probability that an answer like this is right, for ${many(total, 'answer')}; ${NONE} for ${all.answers - total}.`),
    ...bins.map((bin) => picture(span(bin), many(bin.answers, 'answer'),
      bin.answers ? [{ kind: 'reading', value: bin.answers, name: String(bin.answers), words: '' }] : [], most,
      `${span(bin)}: ${many(bin.answers, 'answer')}`)),
    table(['Confidence', 'Answers'], bins.map((bin) => [span(bin), bin.answers])));
};

const away = (log) => {
  if (!log) return 'nothing was sent elsewhere';
  const sent = log.calls
    ? `${many(log.calls, 'request')} with ${(log.bytes / 1000).toFixed(1)} kB and text of ${many(log.papers, 'paper')} to ${log.hosts.join(', ')}`
    : 'nothing was sent elsewhere';
  return log.refused ? `${sent}; ${many(log.refused, 'request')} refused` : sent;
};
const months = ({ months: rows, left, left_fault: fault }) => {
  const known = new Set(rows.map((row) => row.month));
  const empty = { answers: 0, stayed: 0, left: 0, where_unknown: 0, usd: { known: 0, unknown: 0 }, wh: { known: 0, unknown: 0 } };
  const more = Object.keys(left ?? {}).filter((month) => !known.has(month)).map((month) => ({ month, ...empty }));
  const all = [...rows, ...more].sort((a, b) => b.month.localeCompare(a.month));
  const most = Math.max(1, ...all.map((row) => row.answers));
  const log = (row) => (fault ? 'cannot be read' : away(left?.[row.month]));
  return section('By month',
    make('p', { class: fault ? 'bad' : 'faint' }, fault || 'Months are those of UTC. What left this machine is from the audit log of this library.'),
    ...all.map((row) => {
      const parts = [
        { kind: 'draft', value: row.stayed, name: 'stayed here', words: String(row.stayed) },
        { kind: 'refinement', value: row.left, name: 'sent elsewhere', words: String(row.left) },
        { kind: 'other', value: row.where_unknown, name: NONE, words: String(row.where_unknown) },
      ].filter(({ value }) => value);
      const made = picture(row.month, many(row.answers, 'answer'), parts, most, inWords(row.month, parts));
      made.append(make('p', {}, `Money: ${sum(row.usd, money)} · Energy: ${sum(row.wh, energy)} · Audit log: ${log(row)}`));
      return made;
    }),
    table(['Month', 'Answers', 'Stayed here', 'Sent elsewhere', 'Unknown', 'Money', 'Energy', 'Audit log'],
      all.map((row) => [row.month, row.answers, row.stayed, row.left, row.where_unknown, sum(row.usd, money), sum(row.wh, energy), log(row)])));
};

const answersOf = async (chat, place) => {
  const rows = (await ask(`/insight/chat.json?id=${encodeURIComponent(chat.id)}`)).map((row) => ({
    ...row, stages: Object.fromEntries(STAGES.filter((name) => row[name] !== null).map((name) => [name, row[name]])),
  }));
  const longest = Math.max(0, ...rows.map(length));
  const facts = (row) => [
    `confidence ${share(row.confidence)}`, speed(row['larger model tokens per second'] ?? row['drafter tokens per second']),
    row.drafter || row['larger model'] ? `money ${money(row.usd)}` : 'no model was asked', `energy ${energy(row.wh)}`,
    { true: 'stayed here', false: 'sent elsewhere' }[row.stayed] ?? `place ${NONE}`,
  ].join(' · ');
  place.replaceChildren(
    ...rows.map((row) => {
      const made = ofStages(row.question, row, longest);
      made.append(make('p', { class: 'faint' }, facts(row)));
      return made;
    }),
    table(['Question', 'Whole', ...STAGES, 'Drafter', 'Larger model', 'Facts'], rows.map((row) => [
      row.question, seconds(row.seconds), ...STAGES.map((name) => (row[name] === null ? (row.seconds === null ? NONE : 'none') : seconds(row[name]))),
      `${row.drafter ?? 'none'}, ${speed(row['drafter tokens per second'])}`,
      row['larger model'] ? `${row['larger model']}, ${speed(row['larger model tokens per second'])}` : 'none', facts(row)])));
  drawAll();
};

const chats = ({ chats: rows, n_chats: n }) => {
  const longest = Math.max(0, ...rows.map(length));
  return section('By chat',
    make('p', { class: 'faint' }, `The average answer of each chat, ${rows.length < n ? `the latest ${rows.length} of ${n}` : 'the latest first'}.`),
    ...rows.map((row) => {
      const place = make('div', { class: 'answers' }, make('p', { class: 'faint' }, 'Reading …'));
      const folded = make('details', { ontoggle: () => folded.open && !folded.read && open() },
        make('summary', {}, `Show ${many(row.answers, 'answer')}`), place);
      const open = async () => {
        folded.read = true;
        try { await answersOf(row, place); } catch (error) { folded.read = false; place.replaceChildren(make('p', { class: 'bad' }, error.message)); }
      };
      const made = ofStages(row.name || 'Untitled chat', row, longest);
      made.append(make('p', { class: 'faint' },
        `${row.at.slice(0, 10)} · ${many(row.answers, 'answer')} · confidence ${share(row.confidence)} · money ${sum(row.usd, money)} · energy ${sum(row.wh, energy)}`));
      return make('div', { class: 'chat' }, made, folded);
    }));
};

const drawAll = () => drawn.forEach((draw) => draw());

const said = document.getElementById('said');
try {
  const told = await ask('/insight/figures.json');
  said.textContent = '';
  said.hidden = true;
  const place = document.getElementById('insight');
  if (told.all.answers) place.append(overview(told), time(told), models(told), confidence(told), months(told), chats(told));
  else {
    place.append(make('div', { class: 'card' }, make('p', {}, 'There are no answers yet.'),
      make('p', { class: 'faint' }, 'Ask a question in the chat. Then you see here how long each stage took, how fast the models wrote, and what it cost.'),
      make('a', { class: 'button', href: '/' }, 'Ask a question')));
    if (Object.keys(told.left ?? {}).length || told.left_fault) place.append(months(told));
  }
  drawAll();
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; requestAnimationFrame(drawAll); } });
} catch (error) {
  said.classList.add('bad');
  said.textContent = error.message;
}
