/** Shows a prediction: probabilities as bars, a value with its interval, and what each column added to it. */

import { breakable, element, percent, shown } from "./elements.js";

const COLOURS = 8; // of style.css; a ninth class begins again
const COVERAGE = 0.9; // of intervals and sets of labels
const SHOWN_CONTRIBUTIONS = 8; // the largest; the others are shown as one

/** The class name that gives a class its colour, in bars and lines alike. */
export const colour = (index) => `class-${index % COLOURS}`;

/** The prediction in a few words: what a screen reader is told after a change, and a phone shows at its lower edge. */
export function headline(target, prediction) {
  if (target.classes.length === 0) return shown(prediction.value);
  return `${prediction.label}, ${percent(prediction.probabilities[prediction.label])}`;
}

/** What is asked beside the prediction, as the query of an address: as much as the version can say. */
export function query(card) {
  const asked = new URLSearchParams();
  if (card.largest_coverage >= COVERAGE) asked.set("coverage", COVERAGE);
  if (card.most_explained > 0) asked.set("explain", true);
  return asked.size === 0 ? "" : `?${asked}`;
}

/** Show an answer in its container. */
export function showAnswer(container, { columns, target }, prediction) {
  const parts = [
    target.classes.length > 0 && bars(target, prediction),
    certainty(prediction),
    rules(prediction.rules ?? {}, columns),
    prediction.explanation && contributions(target, prediction),
  ];
  container.replaceChildren(...parts.filter(Boolean));
}

function certainty({ interval, label_set: labels }) {
  const often = `${10 * COVERAGE} times of 10`;
  if (interval) return element("p", { class: "certainty" }, `${shown(interval.lower)} to ${shown(interval.upper)} holds the true value ${often}`);
  if (labels) return element("p", { class: "certainty" }, `${labels.length ? labels.join(" or ") : "No label"}: a set like this holds the true one ${often}`);
  return null;
}

/** What the contract's rules made of values that are missing and of labels that training did not see. */
function rules(used, columns) {
  const lines = Object.entries(used).map(([name, why]) =>
    element("li", {}, `${name} ${ruled(columns.find((column) => column.name === name), why)}`));
  return lines.length > 0 && element("ul", { class: "rules" }, ...lines);
}

function ruled({ kind, rules: rule }, why) {
  if (why === "unseen") return `was not seen in training${rule?.unseen === "unknown" ? ": it counts as unknown, as every new label does" : ""}`;
  if (rule?.missing === "category") return "was missing: that counts as a label of its own";
  if (rule?.missing !== "filled") return "was missing";
  return `was missing: ${filling(kind, rule.fill)} instead${rule.flagged ? ", and the model is told" : ""}`;
}

function filling(kind, fill) {
  if (fill === null) return "each trial takes a value of its own";
  if (kind === "boolean") return `${{ 0: "no", 1: "yes" }[Number(fill)] ?? "midway between yes and no"} is taken`;
  return `${typeof fill === "number" ? shown(fill) : fill.slice(0, 10)} is taken`;
}

/** Bars to the right of the middle for what raised the answer, to the left for what lowered it. */
function contributions({ classes }, { label, explanation: { base, contributions: added } }) {
  const isShare = classes.length > 0;
  const signed = isShare ? points : (value) => `${value > 0 ? "+" : ""}${shown(value)}`;
  const average = isShare ? `${label} has ${percent(base)}` : shown(base);
  const raises = `raises ${colour(isShare ? classes.indexOf(label) : 0)}`;
  const sorted = Object.entries(added).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const count = sorted.length === SHOWN_CONTRIBUTIONS + 1 ? sorted.length : SHOWN_CONTRIBUTIONS; // "1 other" is as long as its name
  const [largest, rest] = [sorted.slice(0, count), sorted.slice(count)];
  if (rest.length > 0) largest.push([`${rest.length} others`, rest.reduce((sum, [, value]) => sum + value, 0)]);
  const most = Math.max(...largest.map(([, value]) => Math.abs(value))) || 1;
  const lines = largest.map(([column, value]) => {
    const bar = element("span", { class: value < 0 ? "lowers" : raises });
    bar.style.width = `${(50 * Math.abs(value)) / most}%`;
    return element("li", {},
      element("span", { class: "label" }, ...breakable(column)),
      element("span", { class: "track", "aria-hidden": "true" }, bar),
      element("span", { class: "share" }, signed(value)));
  });
  return element("section", { class: "because" },
    element("h3", {}, `Because: ${average} on average, moved by this row's columns`),
    element("ul", { class: "bars" }, ...lines));
}

/** Hundredths that were added to a probability. */
function points(added) {
  return `${(100 * added).toLocaleString("en", { maximumFractionDigits: 1, signDisplay: "exceptZero" })}\u00a0%`;
}

function bars(target, prediction) {
  const lines = target.classes.map((label, index) => {
    const share = prediction.probabilities[label];
    const bar = element("span", { class: `bar ${colour(index)}` });
    bar.style.width = `${100 * share}%`;
    return element("li", { class: label === prediction.label ? "likeliest" : null },
      element("span", { class: "label" }, ...breakable(label)),
      element("span", { class: "track", "aria-hidden": "true" }, bar),
      element("span", { class: "share" }, percent(share)));
  });
  return element("ul", { class: "bars" }, ...lines);
}
