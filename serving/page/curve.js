/** How the answer changes as one column moves: a line over a range, a row of dots for each label. */

import { colour } from "./answer.js";
import { trackOf } from "./columns.js";
import { drawn, percent, shown } from "./elements.js";

const POINTS = 41; // of a line: one request of so many rows
const MOST_LABELS = 40; // of a column with more, the first
const NAMED_LINES = 5; // more class names beside their lines cannot be told apart
const MARGIN = { top: 12, bottom: 26, left: 44, right: 16 };
const HEIGHT = 210;
const THUMB = 16; // px, in style.css
const LINE_HEIGHT = 15;
const LETTER = 6.6; // px, about

/** The values that a column is moved to: [{ at, value, text }]; `at` is a number on its track, null without one. */
export function stops(column) {
  const track = trackOf(column);
  if (track !== null) {
    const whole = track.step === 1 && track.high - track.low < POINTS;
    const count = whole ? track.high - track.low + 1 : POINTS;
    return Array.from({ length: count }, (_, place) => {
      const value = track.toValue(track.low + (place * (track.high - track.low)) / (count - 1));
      return { at: track.toNumber(value), value, text: track.worded(track.toNumber(value)) };
    });
  }
  return choices(column).map((value) => ({ at: null, value, text: wordedChoice(value) }));
}

function choices(column) {
  if (column.kind === "categorical") return column.categories.slice(0, MOST_LABELS);
  return column.kind === "boolean" ? [true, false] : [column.minimum];
}

const wordedChoice = (value) => (typeof value === "boolean" ? (value ? "yes" : "no") : String(value));

/** The numbers of a prediction: one a class, or the value alone. */
const numbers = (target, prediction) =>
  target.classes.length === 0 ? [prediction.value] : target.classes.map((label) => prediction.probabilities[label]);

/** Draw into `place`: predictions at the stops, and the present one, `now` = { value, prediction }. */
export function drawCurve(place, { column, target, points, predictions, now }) {
  const width = Math.max(place.clientWidth, 240);
  const curves = numbers(target, predictions[0]).map((_, series) => predictions.map((own) => numbers(target, own)[series]));
  const here = now.prediction === null ? null : numbers(target, now.prediction);
  const hasTrack = trackOf(column) !== null;
  const draw = hasTrack ? lines : dots;
  const svg = draw({ column, target, points, curves, here, now, width });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", summary(column, target, points, curves));
  place.replaceChildren(svg);
}

/** Lay a slider along the axis of a picture of lines: the middle of its thumb stands where the present value stands. */
export function alignSlider(slider, picture) {
  const { left, right } = picture.querySelector("svg").dataset;
  slider.style.marginLeft = `${left - THUMB / 2}px`;
  slider.style.width = `calc(100% - ${Number(left) + Number(right) - THUMB}px)`;
}

/** In words what the picture shows. */
function summary(column, target, points, curves) {
  const isRange = trackOf(column) !== null;
  const said = curves.map((values, series) => {
    const name = target.classes[series] ?? target.name;
    const worded = target.classes.length === 0 ? shown : percent;
    if (isRange) return `${name} from ${worded(values[0])} to ${worded(values.at(-1))}`;
    return `${name} between ${worded(Math.min(...values))} and ${worded(Math.max(...values))}`;
  });
  const over = isRange ? `${column.name} from ${points[0].text} to ${points.at(-1).text}` : `the labels of ${column.name}`;
  return `Over ${over}: ${said.join("; ")}.`;
}

function extent(target, curves, here) {
  if (target.classes.length > 0) return [0, 1];
  const all = [...curves.flat(), ...(here ?? [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

function lines({ target, points, curves, here, now, width }) {
  const named = target.classes.length === 0 ? [] : nameable(curves);
  const right = named.length === 0 ? MARGIN.right : Math.min(longest(named.map((series) => target.classes[series])) + 14, 110);
  const [low, high] = extent(target, curves, here);
  const x = scale(points[0].at, points.at(-1).at, MARGIN.left, width - right);
  const y = scale(low, high, HEIGHT - MARGIN.bottom, MARGIN.top);
  const svg = canvas(width, HEIGHT);
  Object.assign(svg.dataset, { left: MARGIN.left, right });
  for (const tick of ticks(low, high)) {
    svg.append(drawn("line", { class: "grid", x1: MARGIN.left, x2: width - right, y1: y(tick), y2: y(tick) }));
    svg.append(text(MARGIN.left - 6, y(tick) + 4, target.classes.length === 0 ? shown(tick) : `${Math.round(100 * tick)} %`, "end"));
  }
  svg.append(text(MARGIN.left, HEIGHT - 8, points[0].text, "start"), text(width - right, HEIGHT - 8, points.at(-1).text, "end"));
  const at = trackAt(now, points);
  if (at !== null) svg.append(drawn("line", { class: "here", x1: x(at), x2: x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
  curves.forEach((values, series) => {
    const path = values.map((value, place) => `${place === 0 ? "M" : "L"}${x(points[place].at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(drawn("path", { class: `line ${colour(series)}${series >= 8 ? " again" : ""}`, d: path }));
    if (at !== null && here !== null) svg.append(drawn("circle", { class: `dot ${colour(series)}`, cx: x(at), cy: y(here[series]), r: 4.5 }));
  });
  const places = apart(named.map((series) => y(curves[series].at(-1)) + 4), MARGIN.top + 4, HEIGHT - MARGIN.bottom);
  named.forEach((series, place) => {
    svg.append(text(width - right + 8, places[place], cut(target.classes[series], right - 14), "start", colour(series)));
  });
  return svg;
}

function dots({ target, points, curves, here, now, width }) {
  const left = Math.min(longest(points.map((own) => own.text)) + 12, width * 0.4);
  const height = MARGIN.top + points.length * 24 + MARGIN.bottom;
  const [low, high] = extent(target, curves, here);
  const x = scale(low, high, left, width - MARGIN.right - 8);
  const svg = canvas(width, height);
  for (const tick of ticks(low, high)) {
    svg.append(drawn("line", { class: "grid", x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    svg.append(text(x(tick), height - 8, target.classes.length === 0 ? shown(tick) : `${Math.round(100 * tick)} %`, "middle"));
  }
  points.forEach((own, place) => {
    const middle = MARGIN.top + place * 24 + 12;
    const isHere = String(own.value) === String(now.value);
    svg.append(text(left - 10, middle + 4, cut(own.text, left - 12), "end", isHere ? "present" : ""));
    svg.append(drawn("line", { class: isHere ? "here" : "grid", x1: left, x2: width - MARGIN.right - 8, y1: middle, y2: middle }));
    curves.forEach((values, series) => svg.append(drawn("circle", { class: `dot ${colour(series)}`, cx: x(values[place]), cy: middle, r: isHere ? 6 : 4 })));
  });
  return svg;
}

const canvas = (width, height) => drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
const text = (x, y, said, anchor, look = "") => drawn("text", { x, y, "text-anchor": anchor, class: look || null }, said);
const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
const longest = (texts) => Math.max(...texts.map((own) => own.length)) * LETTER;

function cut(said, room) {
  const letters = Math.floor(room / LETTER);
  return said.length > letters + 1 ? `${said.slice(0, Math.max(letters - 1, 1))}…` : said;
}

/** Where the column stands now, null when it is missing or beyond the range. */
function trackAt(now, points) {
  return now.at !== null && now.at >= points[0].at && now.at <= points.at(-1).at ? now.at : null;
}

/** The classes whose lines reach highest. */
function nameable(curves) {
  const order = curves.map((values, series) => [Math.max(...values), series]).sort((one, other) => other[0] - one[0]);
  return order.slice(0, NAMED_LINES).map(([, series]) => series);
}

/** Heights of labels, moved apart until none covers another, in the order given. */
function apart(heights, top, bottom) {
  const order = heights.map((_, place) => place).sort((one, other) => heights[one] - heights[other]);
  const moved = [...heights];
  let free = top;
  for (const place of order) free = (moved[place] = Math.max(moved[place], free)) + LINE_HEIGHT;
  let limit = bottom;
  for (const place of order.reverse()) limit = (moved[place] = Math.min(moved[place], limit)) - LINE_HEIGHT;
  return moved;
}

/** Three to six round numbers within a range. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((own) => own * power).find((own) => own >= rough) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}
