// Draws the figures of /insight as SVG, and the same as tables. Null means "not measured" and is never drawn as zero.
import { drawAll, inWords, picture, table } from '/public/bars.js';
import { ask, make } from '/public/page.js';
import { date, dollars, many, number, percent, t } from '/public/texts.js';

const STAGES = ['search', 'reading', 'first word', 'draft', 'check', 'refinement', 'other'];
const NAMED = {
  search: t('search'), reading: t('reading'), 'first word': t('first word'), draft: t('draft'), check: t('check'), refinement: t('refinement'), other: t('other'),
};
const MEANING = {
  search: t('looking for passages'),
  reading: t('the reader picks the words that answer'),
  'first word': t('waiting for the drafter’s first word'),
  draft: t('writing the draft'),
  check: t('checking it against the passages'),
  refinement: t('the larger model'),
  other: t('everything else'),
};
const NONE = t('not measured');
const seconds = (value) => {
  if (value === null || value === undefined) return NONE;
  if (value < 0.01) return t('under {n} s', { n: number(0.01) });
  return t('{n} s', { n: number(value, value < 1 ? 2 : value < 100 ? 1 : 0) });
};
const share = (value) => (value === null || value === undefined ? NONE : percent(value));
const answersIn = (n) => many('{n} answer', '{n} answers', n);
const chatsIn = (n) => many('{n} chat', '{n} chats', n);
const textsIn = (n) => many('{n} text', '{n} texts', n);
const requestsIn = (n) => many('{n} request', '{n} requests', n);
const speed = (value) => (value === null || value === undefined ? NONE : t('{n} tokens/s', { n: number(value, value < 10 ? 1 : 0) }));

const money = (value) => {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return t('free');
  return value < 0.0001 ? t('less than {usd}', { usd: dollars(0.0001, 4) }) : dollars(value, value < 1 ? 4 : 2);
};
const energy = (value) => (value === null || value === undefined ? NONE : `${number(Number(value.toPrecision(2)))} Wh`);

/** The card of a sum: the known part, and below it for how many answers it is known. */
const bigSum = (part, words, name) => {
  if (!part.known) return big(part.unknown ? NONE : t('none'), part.unknown ? name : `${name}: ${t('no model was asked')}`);
  return big(words(part.sum), part.unknown ? t('{what} of {answers}; not measured for {n}', { what: name, answers: answersIn(part.known), n: number(part.unknown) }) : name);
};

/** A sum with its missing parts: never as if these were zero. */
const sum = (part, words) => {
  if (!part.known && !part.unknown) return t('no model was asked');
  if (!part.known) return NONE;
  const known = words(part.sum);
  return part.unknown ? t('{sum} for {known}; not measured for {unknown}', { sum: known, known: number(part.known), unknown: number(part.unknown) }) : known;
};

const staged = (stages) => STAGES.filter((name) => stages?.[name]).map((name) => ({
  kind: name.replace(' ', '-'), value: stages[name], name: NAMED[name], words: seconds(stages[name]),
}));
const ofStages = (title, row, longest) => {
  const parts = staged(row.stages);
  if (!parts.length) return make('figure', { class: 'picture' }, make('figcaption', {},
    make('b', {}, title), make('span', { class: 'faint' }, t('times not measured'))));
  return picture(title, seconds(row.seconds), parts, longest, inWords(title, parts));
};
const length = (row) => Object.values(row.stages ?? {}).reduce((all, value) => all + value, 0);

const section = (title, ...children) => make('section', {}, make('h2', {}, title), ...children);
const big = (value, words) => make('div', { class: 'card' }, make('b', {}, value), make('span', { class: 'faint' }, words));

const overview = ({ all, n_chats: chats }) => make('div', { class: 'figures' },
  big(answersIn(all.answers), t('in {chats}', { chats: chatsIn(chats) })),
  big(seconds(all.first_word), t('to the first word (median)')),
  bigSum(all.usd, money, t('money')),
  bigSum(all.wh, energy, t('energy')));

const time = ({ all }) => section(t('Where the time goes'),
  all.stages
    ? make('p', {}, t('On average an answer took {time}. Measured for {n} of {answers}.', { time: seconds(all.seconds), n: number(all.measured), answers: answersIn(all.answers) }))
    : make('p', {}, t('Your answers are from before Scholion stored times. The next answer will appear here.')),
  all.stages && ofStages(t('An average answer'), all, length(all)),
  all.stages && table([t('Stage'), t('What it is'), t('Seconds')],
    STAGES.filter((name) => all.stages[name]).map((name) => [NAMED[name], MEANING[name], seconds(all.stages[name])])));

const models = ({ models: rows, all }) => {
  const fastest = Math.max(0, ...rows.map((row) => row.tokens_per_second ?? 0));
  const asked = all.larger_asked
    ? t('A larger model was asked for {answers}; its text was shown for {n}.', { answers: answersIn(all.larger_asked), n: number(all.larger_shown) })
    : t('No larger model was asked.');
  const where = (row) => ({ true: t('elsewhere'), false: t('on this machine') }[row.elsewhere] ?? t('place unknown'));
  return section(t('Drafter and larger model'), make('p', {}, asked),
    ...rows.map((row) => {
      const title = `${row.larger ? t('Larger model') : t('Drafter')}: ${row.model}`;
      const right = `${textsIn(row.texts)}, ${where(row)} · ${t('{time} each (median)', { time: seconds(row.seconds) })}`;
      if (row.tokens_per_second === null) return make('figure', { class: 'picture' }, make('figcaption', {},
        make('b', {}, title), make('span', { class: 'faint' }, `${right} · ${t('speed not measured')}`)));
      const parts = [{
        kind: row.larger ? 'refinement' : 'draft', value: row.tokens_per_second, name: t('writes'), words: speed(row.tokens_per_second),
      }];
      return picture(title, right, parts, fastest, inWords(title, parts));
    }),
    rows.length > 0 && table([t('Model'), t('Role'), t('Where'), t('Texts'), t('Speed (median)'), t('Time (median)'), t('Tokens written'), t('Money'), t('Energy')],
      rows.map((row) => [row.model, row.larger ? t('larger model') : t('drafter'), where(row), row.texts, speed(row.tokens_per_second),
        seconds(row.seconds), sum(row.tokens, (n) => number(n)), sum(row.usd, money), sum(row.wh, energy)])));
};

const confidence = ({ confidence: bins, all }) => {
  const most = Math.max(1, ...bins.map((bin) => bin.answers));
  const total = bins.reduce((n, bin) => n + bin.answers, 0);
  const span = (bin) => t('{low} to {high}', { low: Math.round(bin.from * 100), high: percent(bin.to) });
  if (!total) return section(t('Confidence'), make('p', {}, t('The confidence of your answers was not measured.')));
  return section(t('Confidence'),
    make('p', {}, t('The probability that an answer like this is right, for {answers}; not measured for {n}.', { answers: answersIn(total), n: number(all.answers - total) })),
    ...bins.map((bin) => picture(span(bin), answersIn(bin.answers),
      bin.answers ? [{ kind: 'reading', value: bin.answers, name: String(bin.answers), words: '' }] : [], most,
      `${span(bin)}: ${answersIn(bin.answers)}`)),
    table([t('Confidence'), t('Answers')], bins.map((bin) => [span(bin), bin.answers])));
};

const away = (log) => {
  if (!log) return t('nothing was sent elsewhere');
  const sent = log.calls
    ? t('{requests} with {size} kB and text of {papers} to {hosts}', {
      requests: requestsIn(log.calls), size: number(log.bytes / 1000, 1), papers: many('{n} paper', '{n} papers', log.papers), hosts: log.hosts.join(', '),
    })
    : t('nothing was sent elsewhere');
  return log.refused ? `${sent}; ${t('{requests} refused', { requests: requestsIn(log.refused) })}` : sent;
};
const months = ({ months: rows, left, left_fault: fault }) => {
  const known = new Set(rows.map((row) => row.month));
  const empty = { answers: 0, stayed: 0, left: 0, where_unknown: 0, usd: { known: 0, unknown: 0 }, wh: { known: 0, unknown: 0 } };
  const more = Object.keys(left ?? {}).filter((month) => !known.has(month)).map((month) => ({ month, ...empty }));
  const all = [...rows, ...more].sort((a, b) => b.month.localeCompare(a.month));
  const most = Math.max(1, ...all.map((row) => row.answers));
  const told = left !== null || fault; // else it is not this person's to know
  const log = (row) => (fault ? t('cannot be read') : away(left?.[row.month]));
  return section(t('By month'),
    make('p', { class: fault ? 'bad' : 'faint' }, 
      fault || (told ? t('Months are those of UTC. What left this machine is from the audit log of this library.') : t('Months are those of UTC.'))),
    ...all.map((row) => {
      const parts = [
        { kind: 'draft', value: row.stayed, name: t('stayed here'), words: String(row.stayed) },
        { kind: 'refinement', value: row.left, name: t('sent elsewhere'), words: String(row.left) },
        { kind: 'other', value: row.where_unknown, name: NONE, words: String(row.where_unknown) },
      ].filter(({ value }) => value);
      const made = picture(row.month, answersIn(row.answers), parts, most, inWords(row.month, parts));
      const cost = { money: sum(row.usd, money), energy: sum(row.wh, energy) };
      made.append(make('p', {}, told ? t('Money: {money} · Energy: {energy} · Audit log: {log}', { ...cost, log: log(row) }) : t('Money: {money} · Energy: {energy}', cost)));
      return made;
    }),
    table([t('Month'), t('Answers'), t('Stayed here'), t('Sent elsewhere'), t('Unknown'), t('Money'), t('Energy'), ...(told ? [t('Audit log')] : [])],
      all.map((row) => [row.month, row.answers, row.stayed, row.left, row.where_unknown, sum(row.usd, money), sum(row.wh, energy), ...(told ? [log(row)] : [])])));
};

const answersOf = async (chat, place) => {
  const rows = (await ask(`/insight/chat.json?id=${encodeURIComponent(chat.id)}`)).map((row) => ({
    ...row, stages: Object.fromEntries(STAGES.filter((name) => row[name] !== null).map((name) => [name, row[name]])),
  }));
  const longest = Math.max(0, ...rows.map(length));
  const facts = (row) => [
    t('confidence {share}', { share: share(row.confidence) }), speed(row['larger model tokens per second'] ?? row['drafter tokens per second']),
    row.drafter || row['larger model'] ? t('money {sum}', { sum: money(row.usd) }) : t('no model was asked'), t('energy {sum}', { sum: energy(row.wh) }),
    { true: t('stayed here'), false: t('sent elsewhere') }[row.stayed] ?? t('place unknown'),
  ].join(' · ');
  place.replaceChildren(
    ...rows.map((row) => {
      const made = ofStages(row.question, row, longest);
      made.append(make('p', { class: 'faint' }, facts(row)));
      return made;
    }),
    table([t('Question'), t('Whole'), ...STAGES.map((name) => NAMED[name]), t('Drafter'), t('Larger model'), t('Facts')], rows.map((row) => [
      row.question, seconds(row.seconds), ...STAGES.map((name) => (row[name] === null ? (row.seconds === null ? NONE : t('none')) : seconds(row[name]))),
      `${row.drafter ?? t('none')}, ${speed(row['drafter tokens per second'])}`,
      row['larger model'] ? `${row['larger model']}, ${speed(row['larger model tokens per second'])}` : t('none'), facts(row)])));
  drawAll();
};

const chats = ({ chats: rows, n_chats: n }) => {
  const longest = Math.max(0, ...rows.map(length));
  return section(t('By chat'),
    make('p', { class: 'faint' }, rows.length < n ? t('The average answer of each chat, the latest {n} of {total}.', { n: number(rows.length), total: number(n) }) : t('The average answer of each chat, the latest first.')),
    ...rows.map((row) => {
      const place = make('div', { class: 'answers' }, make('p', { class: 'faint' }, t('Reading …')));
      const folded = make('details', { ontoggle: () => folded.open && !folded.read && open() },
        make('summary', {}, t('Show {answers}', { answers: answersIn(row.answers) })), place);
      const open = async () => {
        folded.read = true;
        try { await answersOf(row, place); } catch (error) { folded.read = false; place.replaceChildren(make('p', { class: 'bad' }, error.message)); }
      };
      const made = ofStages(row.name || t('Untitled chat'), row, longest);
      made.append(make('p', { class: 'faint' },
        [date(row.at), answersIn(row.answers), t('confidence {share}', { share: share(row.confidence) }),
          t('money {sum}', { sum: sum(row.usd, money) }), t('energy {sum}', { sum: sum(row.wh, energy) })].join(' · ')));
      return make('div', { class: 'chat' }, made, folded);
    }));
};

const said = document.getElementById('said');
try {
  const told = await ask('/insight/figures.json');
  said.textContent = '';
  said.hidden = true;
  const place = document.getElementById('insight');
  if (told.all.answers) place.append(overview(told), time(told), models(told), confidence(told), months(told), chats(told));
  else {
    place.append(make('div', { class: 'card' }, make('p', {}, t('There are no answers yet.')),
      make('p', { class: 'faint' }, t('Ask a question in the chat. Then you see here how long each stage took, how fast the models wrote, and what it cost.')),
      make('a', { class: 'button', href: '/' }, t('Ask a question'))));
    if (Object.keys(told.left ?? {}).length || told.left_fault) place.append(months(told));
  }
  drawAll();
} catch (error) {
  said.classList.add('bad');
  said.textContent = error.message;
}
