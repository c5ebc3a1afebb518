/** Shows a prediction: probabilities as bars, a value with its interval; and the parts of it that are there. */

import { element, percent, shown } from "./elements.js";

const COLOURS = 8; // of style.css; a ninth class begins again

/** The class name that gives a class its colour, in bars and lines alike. */
export const colour = (place) => `class-${place % COLOURS}`;

/** The prediction in a few words: what a screen reader is told after a change, and a phone shows at its lower edge. */
export function headline(target, prediction) {
  if (target.classes.length === 0) return shown(prediction.value);
  return `${prediction.label}, ${percent(prediction.probabilities[prediction.label])}`;
}

/** Fill the place of the answer. */
export function showAnswer(place, target, prediction) {
  const parts = target.classes.length === 0 ? [] : [bars(target, prediction)];
  place.replaceChildren(...parts);
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
