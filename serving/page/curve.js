/** How the answer changes as one column moves: a line over a range, a row of dots for each label. */

import { colour } from "./answer.js";
import { trackOf } from "./columns.js";
import { drawn, percent, shown } from "./elements.js";

const POINTS = 41; // of a line: one request of so many rows
const MOST_LABELS = 40; // of a column with more, the first
const MOST_PARTS = 4; // of an axis, between its marks
const NAMED_LINES = 5; // more class names beside their lines cannot be told apart
// A picture is drawn for letters of 12 units, and grows with the reader's own size of letters.
const MARGIN = { top: 12, bottom: 26, right: 16 };
const HEIGHT = 210;
const NARROWEST = 240; // a picture of less room is drawn so wide, and made smaller
const NOISE = 1e-6; // of a value: as much as predictions, float32, differ by where nothing changes
const LETTERS = 12; // in style.css
const LINE_HEIGHT = 15;
const ROOT = 16; // px, of letters, where the reader has chosen nothing
const THUMB = 16; // px, in style.css

/** The values that a column is moved to: [{ at, value, text }]; `at` is a number on its track, null without one. */
export function stops(column) {
  const track = trackOf(column);
  if (track !== null) {
    const whole = track.step === 1 && track.high - track.low < POINTS;
    const count = whole ? track.high - track.low + 1 : POINTS;
    return Array.from({ length: count }, (_, index) => {
      const value = track.toValue(track.low + (index * (track.high - track.low)) / (count - 1));
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

/** Draw into `container`: predictions at the stops, and the present one, `now` = { value, prediction }. */
export function drawCurve(container, { column, target, points, predictions, now }) {
  const style = getComputedStyle(container);
  const zoom = parseFloat(style.fontSize) / ROOT;
  const width = Math.max(container.clientWidth / zoom, NARROWEST);
  const curves = numbers(target, predictions[0]).map((_, series) => predictions.map((prediction) => numbers(target, prediction)[series]));
  const here = now.prediction === null ? null : numbers(target, now.prediction);
  const hasTrack = trackOf(column) !== null;
  const draw = hasTrack ? lines : dots;
  const svg = draw({ column, target, points, curves, here, now, width, measure: ruler(style.fontFamily) });
  svg.setAttribute("width", zoom * width);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", summary(column, target, points, curves));
  container.replaceChildren(svg);
}

/** Lay a slider along the axis of a picture of lines: the middle of its thumb stands where the present value stands. */
export function alignSlider(slider, picture) {
  const { left, right } = picture.querySelector("svg").dataset;
  slider.style.marginLeft = `calc(${100 * left}% - ${THUMB / 2}px)`;
  slider.style.width = `calc(${100 * (1 - left - right)}% + ${THUMB}px)`;
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
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low < NOISE * size) return [low - 0.05 * size, high + 0.05 * size];
  const room = (high - low) * 0.08 || 1;
  return [low - room, high + room];
}

function lines({ target, points, curves, here, now, width, measure }) {
  const named = target.classes.length === 0 ? [] : nameable(curves);
  const names = named.map((series) => target.classes[series]);
  const right = named.length === 0 ? MARGIN.right : Math.min(widest(names, measure) + 14, width / 3);
  const [low, high] = extent(target, curves, here);
  const marks = marked(target, low, high, MOST_PARTS);
  const left = widest(marks.map((mark) => mark.text), measure) + 8;
  const x = scale(points[0].at, points.at(-1).at, left, width - right);
  const y = scale(low, high, HEIGHT - MARGIN.bottom, MARGIN.top);
  const svg = canvas(width, HEIGHT);
  Object.assign(svg.dataset, { left: left / width, right: right / width });
  for (const { at, text: said } of marks) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(at), y2: y(at) }));
    svg.append(text(left - 6, y(at) + 4, said, "end"));
  }
  for (const end of [points[0], points.at(-1)]) {
    svg.append(text(within(x(end.at), measure(end.text), width), HEIGHT - 8, end.text, "middle"));
  }
  const at = trackAt(now, points);
  if (at !== null) svg.append(drawn("line", { class: "here", x1: x(at), x2: x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
  curves.forEach((values, series) => {
    const path = values.map((value, index) => `${index === 0 ? "M" : "L"}${x(points[index].at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(drawn("path", { class: `line ${colour(series)}${series >= 8 ? " again" : ""}`, d: path }));
    if (at !== null && here !== null) svg.append(drawn("circle", { class: `dot ${colour(series)}`, cx: x(at), cy: y(here[series]), r: 4.5 }));
  });
  const levels = apart(named.map((series) => y(curves[series].at(-1)) + 4), MARGIN.top + 4, HEIGHT - MARGIN.bottom);
  named.forEach((series, index) => {
    svg.append(text(width - right + 8, levels[index], cut(names[index], right - 14, measure), "start", colour(series)));
  });
  return svg;
}

function dots({ target, points, curves, here, now, width, measure }) {
  const left = Math.min(widest(points.map((point) => point.text), measure) + 12, width * 0.4);
  const height = MARGIN.top + points.length * 24 + MARGIN.bottom;
  const [low, high] = extent(target, curves, here);
  const x = scale(low, high, left, width - MARGIN.right - 8);
  const svg = canvas(width, height);
  for (const { at, text: said } of spaced(target, low, high, x, measure)) {
    svg.append(drawn("line", { class: "grid", x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    svg.append(text(within(x(at), measure(said), width), height - 8, said, "middle"));
  }
  points.forEach((point, index) => {
    const middle = MARGIN.top + index * 24 + 12;
    const isHere = String(point.value) === String(now.value);
    svg.append(text(left - 10, middle + 4, cut(point.text, left - 12, measure), "end", isHere ? "present" : ""));
    svg.append(drawn("line", { class: isHere ? "here" : "grid", x1: left, x2: width - MARGIN.right - 8, y1: middle, y2: middle }));
    curves.forEach((values, series) => svg.append(drawn("circle", { class: `dot ${colour(series)}`, cx: x(values[index]), cy: middle, r: isHere ? 6 : 4 })));
  });
  return svg;
}

const canvas = (width, height) => drawn("svg", { viewBox: `0 0 ${width} ${height}` });
const text = (x, y, said, anchor, look = "") => drawn("text", { x, y, "text-anchor": anchor, class: look || null }, said);
const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
const widest = (texts, measure) => Math.max(...texts.map(measure));
/** The middle of a text, moved as far as it must for the whole of it to stand in the picture. */
const within = (middle, room, width) => Math.max(Math.min(middle, width - room / 2), room / 2);

/** Measures texts in the picture's units, as if all were of its boldest letters. */
function ruler(family) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `600 ${LETTERS}px ${family}`;
  return (said) => pen.measureText(said).width;
}

/** As much of a text as there is room for: its beginning and its end, for many names differ only there. */
function cut(said, room, measure) {
  if (measure(said) <= room) return said;
  const letters = [...said];
  const shortened = (kept) => `${letters.slice(0, Math.ceil(kept / 2)).join("")}…${letters.slice(letters.length - Math.floor(kept / 2)).join("")}`;
  let kept = Math.min(letters.length - 1, Math.floor(room / 2)); // no letter is narrower than 2 units
  while (kept > 2 && measure(shortened(kept)) > room) kept -= 1;
  return shortened(kept);
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
  const order = heights.map((_, index) => index).sort((one, other) => heights[one] - heights[other]);
  const moved = [...heights];
  let free = top;
  for (const index of order) free = (moved[index] = Math.max(moved[index], free)) + LINE_HEIGHT;
  let limit = bottom;
  for (const index of order.reverse()) limit = (moved[index] = Math.min(moved[index], limit)) - LINE_HEIGHT;
  return moved;
}

/** As many marks along a line as there is room for side by side. */
function spaced(target, low, high, x, measure) {
  for (let parts = MOST_PARTS; parts > 1; parts -= 1) {
    const marks = marked(target, low, high, parts);
    const room = marks.length > 1 ? x(marks[1].at) - x(marks[0].at) : Infinity;
    if (widest(marks.map((mark) => mark.text), measure) + 8 <= room) return marks;
  }
  return marked(target, low, high, 2).slice(0, 1);
}

/** Round numbers within a range, in as many digits as tell them apart: [{ at, text }]. */
function marked(target, low, high, parts) {
  const positions = ticks(low, high, parts);
  if (target.classes.length > 0) return positions.map((at) => ({ at, text: `${Math.round(100 * at)} %` }));
  const apart = positions.length > 1 ? positions[1] - positions[0] : positions[0];
  const common = Math.log10(Math.max(...positions.map(Math.abs)) / Math.abs(apart || 1));
  const digits = Math.min(Math.max(Math.ceil(common) + 3, 4), 15);
  return positions.map((at) => ({ at, text: shown(at, { digits }) }));
}

/** Round numbers within a range, that part it into about so many. */
function ticks(low, high, parts) {
  const rough = (high - low) / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}
