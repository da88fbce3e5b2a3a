// The page /compare: two models, one question, both answers; in a blind round the names come after the vote.
import { ask, make } from '/public/page.js';

const UNKNOWN = 'unknown';
const place = document.getElementById('compare');
const CHOSEN = 'scholion-compare';

const seconds = (value) => (value === null || value === undefined ? UNKNOWN : `${value.toFixed(value < 10 ? 2 : 1)} s`);
const percent = (value) => `${Math.round(value * 100)} %`;

const rateRow = (rate) => make('tr', {},
  make('th', { scope: 'row' }, `${rate.model} against ${rate.other}`),
  make('td', { class: 'number' }, `${percent(rate.rate)} (${percent(rate.low)} to ${percent(rate.high)})`),
  make('td', { class: 'number' }, String(rate.wins)), make('td', { class: 'number' }, String(rate.ties)),
  make('td', { class: 'number' }, String(rate.losses)));

const table = (rates) => (rates.length
  ? [make('div', { class: 'scrolls' }, make('table', {},
    make('thead', {}, make('tr', {},
      ...['Models', 'Preferred (95 % interval)', 'Better', 'Equal', 'Worse'].map((head, n) => make('th', { scope: 'col', class: n ? 'number' : null }, head)))),
    make('tbody', {}, rates.map(rateRow)))),
  make('p', { class: 'faint' }, 'Blind votes only. An equal vote counts as half for each. The interval is Wilson’s: with few votes it is wide.')]
  : [make('p', { class: 'faint' }, 'There are no blind votes yet. Tick “Blind”, ask, and vote.')]);

const facts = (side) => make('dl', {}, ...[
  ['Total', seconds(side.seconds)],
  ['First word after', seconds(side.first_seconds)],
  ['Speed', side.tokens_per_second === null ? UNKNOWN : `${side.tokens_per_second.toFixed(1)} tokens/s`],
  ['Tokens', side.input_tokens === null ? UNKNOWN : `${side.input_tokens} → ${side.output_tokens}`],
  ['Cost', side.cost],
  ['Where', side.where],
].flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));

const card = (side, name) => make('article', { class: 'card answer' },
  make('h2', {}, side.model ?? name),
  make('p', { class: 'text' }, side.text || '(no text)', side.cut_off ? ' …' : ''),
  side.model ? facts(side) : null);

const answers = make('section', { 'aria-live': 'polite' });
const agreeing = make('section');
const rates = make('section', {}, make('h2', {}, 'Votes'), make('div'));
const said = make('p', { class: 'said', role: 'status' });

const say = (text, bad = false) => { said.textContent = text; said.classList.toggle('bad', bad); };
const showRates = (rows) => rates.lastElementChild.replaceChildren(...table(rows));

const show = ({ round, sides }) => {
  const cards = sides.map((side, n) => card(side, `Answer ${n ? 'B' : 'A'}`));
  const votes = make('div', { class: 'row votes', role: 'group', 'aria-label': 'Which answer is better?' },
    make('b', {}, 'Which answer is better?'),
    ...[['first', 'Left'], ['second', 'Right'], ['tie', 'Both the same']].map(([choice, name]) => make('button', {
      type: 'button',
      onclick: async () => {
        for (const button of votes.querySelectorAll('button')) button.disabled = true;
        try {
          const told = await ask('/compare/vote', { round, choice });
          const now = told.sides.map((side, n) => card(side, `Answer ${n ? 'B' : 'A'}`));
          const at = ['first', 'second'].indexOf(choice);
          if (at >= 0) now[at].classList.add('won');
          answers.replaceChildren(make('div', { class: 'pair' }, ...now));
          showRates(told.rates);
          say('Your vote is kept.');
        } catch (error) {
          for (const button of votes.querySelectorAll('button')) button.disabled = false;
          say(error.message, true);
        }
      },
    }, name)));
  answers.replaceChildren(make('div', { class: 'pair' }, ...cards), votes);
};

const toAgree = (rows, again) => {
  agreeing.replaceChildren(make('div', { class: 'card agree' },
    make('h2', {}, rows.length > 1 ? 'Two models are not on this machine' : 'One model is not on this machine'),
    ...rows.flatMap((row) => [
      make('dl', {}, ...row.facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
      make('details', {}, make('summary', {}, 'Exactly what would be sent'), make('pre', {}, row.text)),
    ]),
    make('div', { class: 'row votes' },
      make('button', { type: 'button', class: 'main', onclick: () => { agreeing.replaceChildren(); again(rows.map((row) => row.agree)); } }, 'Send it once'),
      make('button', { type: 'button', onclick: () => { agreeing.replaceChildren(); say('Nothing was sent.'); } }, 'Cancel'))));
  agreeing.querySelector('button').focus();
};

const begin = ({ models, rates: rows }) => {
  const kept = JSON.parse(localStorage.getItem(CHOSEN) ?? '[]');
  const choose = (label, at) => {
    const select = make('select', { name: label }, models.map((model) => make('option', { value: model.setting }, model.name)));
    select.value = models.some((model) => model.setting === kept[at]) ? kept[at] : models[Math.min(at, models.length - 1)].setting;
    return [make('label', { class: 'field' }, label, select), select];
  };
  const [first, one] = choose('First model', 0);
  const [second, two] = choose('Second model', 1);
  const question = make('textarea', { rows: 3, required: true });
  const retrieval = make('input', { type: 'checkbox' });
  const blind = make('input', { type: 'checkbox' });
  const button = make('button', { class: 'main', type: 'submit' }, 'Ask both');
  const send = async (agreed) => {
    button.disabled = true;
    answers.replaceChildren();
    say('Both models are answering, one after the other …');
    localStorage.setItem(CHOSEN, JSON.stringify([one.value, two.value]));
    try {
      const told = await ask('/compare/ask', {
        models: [one.value, two.value], question: question.value, blind: blind.checked, retrieval: retrieval.checked, agreed,
      });
      say('');
      if (told.consent) toAgree(told.consent, send);
      else show(told);
    } catch (error) { say(error.message, true); }
    button.disabled = false;
  };
  place.replaceChildren(
    make('form', { onsubmit: (event) => { event.preventDefault(); agreeing.replaceChildren(); send([]); } },
      make('div', { class: 'pair' }, first, second),
      make('label', { class: 'field' }, 'Question', question),
      make('div', { class: 'row' },
        make('label', { class: 'tick' }, retrieval, 'With passages of your papers'),
        make('label', { class: 'tick' }, blind, 'Blind: show the names after the vote'),
        button)),
    said, agreeing, answers, rates);
  showRates(rows);
};

try { begin(await ask('/compare/state.json')); } catch (error) {
  place.replaceChildren(make('p', { class: 'bad' }, error.message));
}
