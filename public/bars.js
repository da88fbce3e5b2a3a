// Bars of parts, as SVG: each part with its label on it, or below where it does not fit.
import { make } from '/public/page.js';
import { t } from '/public/texts.js';

const LETTER = 6.6; // pixels of a letter at 12 px, generously

const svgNode = (name, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

const drawn = new Set(); // of bars, so that a resize draws them again
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
  drawn.add({ svg, draw });
  return [svg, rest];
};

/** A bar with its title and what stands at its right. */
export const picture = (title, right, parts, whole, label) => make('figure', { class: 'picture' },
  make('figcaption', {}, make('b', {}, title), make('span', { class: 'faint' }, right)),
  ...bar(parts, whole, { label }));

/** The same for who cannot see it. */
export const inWords = (title, parts) => `${title}: ${parts.map(({ name, words }) => `${name} ${words}`).join(', ')}`;

/** The figures as a table that is folded. */
export const table = (heads, rows) => make('details', {},
  make('summary', {}, t('The same as a table')),
  make('div', { class: 'scrolls', tabindex: 0, role: 'region', 'aria-label': t('The same as a table') }, make('table', {},
    make('thead', {}, make('tr', {}, heads.map((head) => make('th', { scope: 'col' }, head)))),
    make('tbody', {}, rows.map((row) => make('tr', {}, row.map((cell, n) => (
      n ? make('td', {}, String(cell)) : make('th', { scope: 'row' }, String(cell))))))))));

/** Draw all bars that are on the page, into the width that they have now. */
export const drawAll = () => {
  for (const one of [...drawn]) {
    if (one.svg.isConnected) one.draw();
    else drawn.delete(one); // its page part was replaced
  }
};

let width = innerWidth;
addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; requestAnimationFrame(drawAll); } });
