// The page's texts in the reader's language. The English text is the key; what has no translation stays English.
let told = { language: 'en', chosen: '', names: { en: 'English' }, texts: {} };
try {
  const reply = await fetch('/texts.json');
  if (reply.ok) told = await reply.json();
} catch { /* English */ }

export const language = told.language;
export const chosen = told.chosen;
export const names = told.names;
const locale = language === 'en' ? 'en-GB' : language;

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
const found = (english) => told.texts[english];

/** The text with its values: t('Added {n} files', { n: 3 }). */
export function t(english, values = {}) {
  const text = found(english);
  return filled(typeof text === 'string' ? text : text?.[0] ?? english, values);
}

/** One of two texts by a number, which is {n} in them: many('{n} paper', '{n} papers', 3). */
export function many(one, other, n, values = {}) {
  const forms = found(one);
  const [first, rest] = Array.isArray(forms) ? forms : [one, other];
  return filled(n === 1 ? first : rest, { n: number(n), ...values });
}

/** A number in the reader's form, with exactly this many digits after the point, or as many as it has. */
export function number(value, digits) {
  return value.toLocaleString(locale, digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A share of 1 in whole percent. */
export const percent = (share) => share.toLocaleString(locale, { style: 'percent' });

/** US dollars. */
export const dollars = (value, digits) => value.toLocaleString(locale, {
  style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', minimumFractionDigits: digits, maximumFractionDigits: digits,
});

/** A day, from an ISO date. */
export const date = (iso) => new Date(iso).toLocaleDateString(locale, { day: 'numeric', month: 'short', year: 'numeric' });

window.scholionTexts = { t, many, number }; // for Chainlit's custom elements, which cannot import it
