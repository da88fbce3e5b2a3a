// Shows the health report, and asks for a connection to a larger model only when its button is pressed.
import { ask, make } from '/public/page.js';
import { many, t } from '/public/texts.js';

const said = document.getElementById('said');
const place = document.getElementById('report');
const again = document.getElementById('again');
const STATES = { ok: t('ok'), note: t('note'), problem: t('problem') };

/** Text with `code` in it; everything else stays text. */
const withCode = (text) => text.split(/`([^`]+)`/).map((part, n) => (n % 2 ? make('code', {}, part) : part));

const shown = (line) => make('div', { class: 'line' },
  make('span', { class: `state ${line.state}` }, STATES[line.state]),
  make('b', {}, line.about),
  make('div', {},
    make('p', {}, withCode(line.said)),
    line.todo && make('p', { class: 'todo faint' }, withCode(line.todo)),
    line.facts.contacted === false && !line.facts.here
      && make('button', { onclick: () => look(() => ask('/health/reach', { agreed: true })) }, t('Try to reach it'))));

const summary = (checks) => {
  const bad = checks.filter((line) => line.state === 'problem').length;
  const notes = checks.filter((line) => line.state === 'note').length;
  const words = bad ? many('{n} problem: see what to do below.', '{n} problems: see what to do below.', bad) : t('No problems.');
  return notes ? `${words} ${many('{n} note.', '{n} notes.', notes)}` : words;
};

async function look(from) {
  again.disabled = true;
  said.classList.remove('bad');
  said.textContent = t('Checking …');
  try {
    const { checks } = await from();
    const groups = grouped(checks);
    const bad = checks.filter((line) => line.state === 'problem');
    place.replaceChildren(
      ...(bad.length ? [make('section', {}, make('h2', {}, t('Problems')), ...bad.map(shown))] : []),
      ...[...groups].map(([name, lines]) => [name, lines.filter((line) => line.state !== 'problem')])
        .filter(([, lines]) => lines.length)
        .map(([name, lines]) => make('section', {}, make('h2', {}, name), ...lines.map(shown))));
    said.textContent = summary(checks);
    said.classList.toggle('bad', bad.length > 0);
  } catch (error) {
    said.classList.add('bad');
    said.textContent = error.message;
  }
  again.disabled = false;
}

const grouped = (checks) => {
  const groups = new Map();
  for (const line of checks) groups.set(line.group, [...(groups.get(line.group) ?? []), line]);
  return groups;
};

again.addEventListener('click', () => look(() => ask('/health/report.json')));
look(() => ask('/health/report.json'));
