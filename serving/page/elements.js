/** Makes elements. Text is only ever set as text, so no name of a table can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes (null and false leave one out) and children (nodes or texts). */
export function element(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function drawn(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** A name in pieces between which a line may end: after each underscore, rather than anywhere. */
export const breakable = (name) => name.split(/(?<=_)/).flatMap((piece, index) => (index === 0 ? [piece] : [element("wbr"), piece]));

/** A number for people: four digits that matter, no more, or as many as are asked for. */
export function shown(number, { digits = 4, roundingMode = "halfExpand" } = {}) {
  const isPlain = number === 0 || (Math.abs(number) >= 1e-3 && Math.abs(number) < 1e7);
  const options = isPlain ? { maximumSignificantDigits: digits } : { notation: "scientific", maximumSignificantDigits: digits - 1 };
  return number.toLocaleString("en", { ...options, roundingMode, signDisplay: "negative" });
}

/** A whole number whole, as far as a number of JavaScript is exact. */
export function whole(number) {
  return Number.isSafeInteger(number) ? number.toLocaleString("en", { signDisplay: "negative" }) : shown(number);
}

/** A probability for people; it never says 0 or 100 % of what is not. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1\u00a0%";
  if (share < 1 && share > 0.999) return "> 99.9\u00a0%";
  return `${(100 * share).toLocaleString("en", { maximumFractionDigits: 1 })}\u00a0%`;
}

function dressed(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
