// What would leave the machine, for the user to read and to agree to.
import { make } from '/public/page.js';
import { t } from '/public/texts.js';

/** A card with the facts and the text of each request. `yes` gets the seals of exactly these requests. */
export const agreement = (rows, { yes, no }) => make('div', { class: 'card agree' },
  make('h2', {}, rows.length > 1 ? t('Two models are not on this machine') : t('One model is not on this machine')),
  ...rows.flatMap((row) => [
    make('dl', {}, ...row.facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
    make('details', {}, make('summary', {}, t('Exactly what would be sent')), make('pre', {}, row.text)),
  ]),
  make('div', { class: 'row votes' },
    make('button', { type: 'button', class: 'main', onclick: () => yes(rows.map((row) => row.agree)) }, t('Send it once')),
    make('button', { type: 'button', onclick: no }, t('Cancel'))));
