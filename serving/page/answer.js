/** Shows a prediction: probabilities as bars, a value with its interval, and what each column added to it. */

import { element, percent, shown } from "./elements.js";

const COLOURS = 8; // of style.css; a ninth class begins again
const COVERAGE = 0.9; // of intervals and sets of labels
const SHOWN_CONTRIBUTIONS = 8; // the largest; the others are shown as one
const REASONS = { missing: "was missing", unseen: "was not seen in training" };

/** The class name that gives a class its colour, in bars and lines alike. */
export const colour = (place) => `class-${place % COLOURS}`;

/** The prediction in a few words: what a screen reader is told after a change, and a phone shows at its lower edge. */
export function headline(target, prediction) {
  if (target.classes.length === 0) return shown(prediction.value);
  return `${prediction.label}, ${percent(prediction.probabilities[prediction.label])}`;
}

/** What is asked beside the prediction, as the query of an address: as much as the version's contract allows. */
export function query(contract) {
  const asked = new URLSearchParams();
  const rows = contract.calibration?.conformal.rows ?? 0;
  if (rows / (rows + 1) >= COVERAGE) asked.set("coverage", COVERAGE);
  if (contract.background?.length > 0) asked.set("explain", true);
  return asked.size === 0 ? "" : `?${asked}`;
}

/** Fill the place of the answer. */
export function showAnswer(place, target, prediction) {
  const parts = [
    target.classes.length > 0 && bars(target, prediction),
    certainty(prediction),
    rules(prediction.rules ?? {}),
    prediction.explanation && contributions(prediction.explanation, target.classes.length > 0),
  ];
  place.replaceChildren(...parts.filter(Boolean));
}

function certainty({ interval, label_set: labels }) {
  const often = `${10 * COVERAGE} times of 10`;
  if (interval) return element("p", { class: "certainty" }, `${shown(interval.lower)} to ${shown(interval.upper)} holds the true value ${often}`);
  if (labels) return element("p", { class: "certainty" }, `${labels.length ? labels.join(" or ") : "No label"}: a set like this holds the true one ${often}`);
  return null;
}

/** Where a rule of the contract took the place of a value. */
function rules(used) {
  const lines = Object.entries(used).map(([column, why]) => element("li", {}, `${column} ${REASONS[why] ?? why}: a rule of the contract filled it in`));
  return lines.length > 0 && element("ul", { class: "rules" }, ...lines);
}

/** Bars to the right of the middle for what raised the answer, to the left for what lowered it. */
function contributions({ base, contributions: added }, isShare) {
  const worded = (value) => (isShare ? `${shown(100 * value)} %` : shown(value));
  const signed = (value) => `${value > 0 ? "+" : ""}${worded(value)}`;
  const sorted = Object.entries(added).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const [largest, rest] = [sorted.slice(0, SHOWN_CONTRIBUTIONS), sorted.slice(SHOWN_CONTRIBUTIONS)];
  if (rest.length > 0) largest.push([`${rest.length} others`, rest.reduce((sum, [, value]) => sum + value, 0)]);
  const most = Math.max(...largest.map(([, value]) => Math.abs(value))) || 1;
  const lines = largest.map(([column, value]) => {
    const bar = element("span", { class: value < 0 ? "lowers" : "raises" });
    bar.style.width = `${(50 * Math.abs(value)) / most}%`;
    return element("li", {},
      element("span", { class: "label" }, column),
      element("span", { class: "track", "aria-hidden": "true" }, bar),
      element("span", { class: "share" }, signed(value)));
  });
  return element("section", { class: "because" },
    element("h3", {}, `Because: ${worded(base)} on average, and of this row`),
    element("ul", { class: "bars" }, ...lines));
}

function bars(target, prediction) {
  const lines = target.classes.map((label, place) => {
    const share = prediction.probabilities[label];
    const bar = element("span", { class: `bar ${colour(place)}` });
    bar.style.width = `${100 * share}%`;
    return element("li", { class: label === prediction.label ? "likeliest" : null },
      element("span", { class: "label" }, label),
      element("span", { class: "track", "aria-hidden": "true" }, bar),
      element("span", { class: "share" }, percent(share)));
  });
  return element("ul", { class: "bars" }, ...lines);
}
