// The page /compare: two models, one question, both answers; in a blind round the names come after the vote.
import { agreement } from '/public/agree.js';
import { ask, make } from '/public/page.js';
import { number, percent, t } from '/public/texts.js';

const UNKNOWN = t('unknown');
const place = document.getElementById('compare');
const CHOSEN = 'scholion-compare';

const seconds = (value) => (value === null || value === undefined ? UNKNOWN : `${number(value, value < 10 ? 2 : 1)} s`);

const rateRow = (rate) => make('tr', {},
  make('th', { scope: 'row' }, t('{model} against {other}', rate)),
  make('td', { class: 'number' }, t('{rate} ({low} to {high})', { rate: percent(rate.rate), low: percent(rate.low), high: percent(rate.high) })),
  make('td', { class: 'number' }, number(rate.wins)), make('td', { class: 'number' }, number(rate.ties)),
  make('td', { class: 'number' }, number(rate.losses)));

const table = (rates) => (rates.length
  ? [make('div', { class: 'scrolls' }, make('table', {},
    make('thead', {}, make('tr', {},
      ...[t('Models'), t('Preferred (95 % interval)'), t('Better'), t('Equal'), t('Worse')].map((head, n) => make('th', { scope: 'col', class: n ? 'number' : null }, head)))),
    make('tbody', {}, rates.map(rateRow)))),
  make('p', { class: 'faint' }, t('Blind votes only. An equal vote counts as half for each. The interval is Wilson’s: with few votes it is wide.'))]
  : [make('p', { class: 'faint' }, t('There are no blind votes yet. Tick “Blind”, ask, and vote.'))]);

const facts = (side) => make('dl', {}, ...[
  [t('Total'), seconds(side.seconds)],
  [t('First word after'), seconds(side.first_seconds)],
  [t('Speed'), side.tokens_per_second === null ? UNKNOWN : t('{n} tokens/s', { n: number(side.tokens_per_second, 1) })],
  [t('Tokens'), side.input_tokens === null ? UNKNOWN : `${number(side.input_tokens)} → ${number(side.output_tokens)}`],
  [t('Cost'), side.cost],
  [t('Where'), side.where],
].flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));

const card = (side, name) => make('article', { class: 'card answer' },
  make('h2', {}, side.model ?? name),
  make('p', { class: 'text' }, side.text || t('(no text)'), side.cut_off ? ' …' : ''),
  side.model ? facts(side) : null);

const answers = make('section', { 'aria-live': 'polite' });
const agreeing = make('section');
const rates = make('section', {}, make('h2', {}, t('Votes')), make('div'));
const said = make('p', { class: 'said', role: 'status' });

const say = (text, bad = false) => { said.textContent = text; said.classList.toggle('bad', bad); };
const showRates = (rows) => rates.lastElementChild.replaceChildren(...table(rows));

const show = ({ round, sides }) => {
  const cards = sides.map((side, n) => card(side, t('Answer {name}', { name: n ? 'B' : 'A' })));
  const votes = make('div', { class: 'row votes', role: 'group', 'aria-label': t('Which answer is better?') },
    make('b', {}, t('Which answer is better?')),
    ...[['first', t('Left')], ['second', t('Right')], ['tie', t('Both the same')]].map(([choice, name]) => make('button', {
      type: 'button',
      onclick: async () => {
        for (const button of votes.querySelectorAll('button')) button.disabled = true;
        try {
          const told = await ask('/compare/vote', { round, choice });
          const now = told.sides.map((side, n) => card(side, t('Answer {name}', { name: n ? 'B' : 'A' })));
          const at = ['first', 'second'].indexOf(choice);
          if (at >= 0) now[at].classList.add('won');
          answers.replaceChildren(make('div', { class: 'pair' }, ...now));
          showRates(told.rates);
          say(t('Your vote is kept.'));
        } catch (error) {
          for (const button of votes.querySelectorAll('button')) button.disabled = false;
          say(error.message, true);
        }
      },
    }, name)));
  answers.replaceChildren(make('div', { class: 'pair' }, ...cards), votes);
};

const toAgree = (rows, again) => {
  agreeing.replaceChildren(agreement(rows, {
    yes: (agreed) => { agreeing.replaceChildren(); again(agreed); },
    no: () => { agreeing.replaceChildren(); say(t('Nothing was sent.')); },
  }));
  agreeing.querySelector('button').focus();
};

const begin = ({ models, rates: rows }) => {
  const kept = JSON.parse(localStorage.getItem(CHOSEN) ?? '[]');
  const choose = (label, at) => {
    const select = make('select', { name: label }, models.map((model) => make('option', { value: model.setting }, model.name)));
    select.value = models.some((model) => model.setting === kept[at]) ? kept[at] : models[Math.min(at, models.length - 1)].setting;
    return [make('label', { class: 'field' }, label, select), select];
  };
  const [first, one] = choose(t('First model'), 0);
  const [second, two] = choose(t('Second model'), 1);
  const question = make('textarea', { rows: 3, required: true });
  const retrieval = make('input', { type: 'checkbox' });
  const blind = make('input', { type: 'checkbox' });
  const button = make('button', { class: 'main', type: 'submit' }, t('Ask both'));
  const send = async (agreed) => {
    button.disabled = true;
    answers.replaceChildren();
    say(t('Both models are answering, one after the other …'));
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
      make('label', { class: 'field' }, t('Question'), question),
      make('div', { class: 'row' },
        make('label', { class: 'tick' }, retrieval, t('With passages of your papers')),
        make('label', { class: 'tick' }, blind, t('Blind: show the names after the vote')),
        button)),
    said, agreeing, answers, rates);
  showRates(rows);
};

try { begin(await ask('/compare/state.json')); } catch (error) {
  place.replaceChildren(make('p', { class: 'bad' }, error.message));
}
