/** A field of the form for each column of the contract: its real range or categories in, a JSON value out.
 *  Whether a value fits is the server's to say: what cannot be read as a number is sent as it was typed. */

import { breakable, element, shown, whole } from "./elements.js";

const DAY_MS = 86_400_000;
const MIDNIGHT = /[T ]00:00(:00(\.0*)?)?(Z|\+00:00)?$/;
// As the server reads a number of a CSV file; Number() alone takes 0x10 and Infinity besides.
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const BOUND_DIGITS = 6; // of the bounds of a range: more of them only where they differ in no fewer
const SLIDER_DIGITS = 500; // a slider gives numbers no finer than a part of the range in so many

/** A field: `element`, `read()`, `write(value)`, `blame(message)`, and `track`, what a slider needs, or null. */
export function makeField(column, index, changed) {
  const id = `column-${index}`;
  const control = CONTROLS[column.kind](column, id);
  const hint = element("p", { class: "hint", id: `${id}-hint` }, control.hint);
  const error = element("p", { class: "error", id: `${id}-error` });
  const field = framed(column, id, control, hint, error);
  const told = () => {
    hint.classList.toggle("outside", control.track !== null && isOutside(control, column));
    changed(column);
  };
  field.addEventListener("input", told);
  const blamed = field.querySelector("input, select");
  return {
    column,
    element: field,
    track: control.track,
    read: control.read,
    focus: () => blamed.focus(),
    write(value) {
      control.write(value);
      hint.classList.toggle("outside", control.track !== null && isOutside(control, column));
    },
    blame(message) {
      error.textContent = message;
      field.classList.toggle("wrong", message !== "");
      for (const input of field.querySelectorAll("input, select")) input.setAttribute("aria-invalid", message !== "");
    },
  };
}

/** What a slider runs over: numbers from `low` to `high`, worded by `toValue`, found again by `toNumber`. */
export function trackOf(column) {
  if (column.kind === "numeric" && column.maximum > column.minimum) {
    const decimals = column.integer ? 0 : decimalsOf(column.maximum - column.minimum);
    const rounded = (number) => Math.min(Math.max(Number(number.toFixed(decimals)), column.minimum), column.maximum);
    return { low: column.minimum, high: column.maximum, step: column.integer ? 1 : "any", toValue: rounded,
             toNumber: (value) => (typeof value === "number" ? value : null),
             worded: column.integer ? whole : (number) => shown(number, { digits: boundDigits(column) }) };
  }
  if (column.kind === "date" && moment(column.maximum) > moment(column.minimum)) {
    const toValue = (days) => isoDate(column, days);
    return { low: moment(column.minimum), high: moment(column.maximum), step: hasTime(column) ? "any" : 1, toValue,
             toNumber: (value) => (value === null ? null : moment(value)), worded: (days) => toValue(days).slice(0, 10) };
  }
  return null;
}

const CONTROLS = { numeric, date, boolean: oneOfTwo, categorical };

function numeric(column, id) {
  const attributes = { inputmode: column.minimum < 0 ? "text" : "decimal", type: "text", spellcheck: "false" };
  const input = element("input", { id, ...attributes, autocomplete: "off", placeholder: missing(column) });
  const read = () => {
    const text = input.value.trim();
    if (text === "") return null;
    const number = DECIMAL.test(text) ? Number(text) : NaN;
    return Number.isFinite(number) ? number : text;
  };
  return withSlider(column, input, { read, worded: String, hint: range(column) });
}

/** The range in words, never wider than it is: what a hint calls inside must not be called outside when it is typed. */
function range(column) {
  if (column.integer) return `${whole(column.minimum)} to ${whole(column.maximum)}, whole numbers`;
  const digits = boundDigits(column);
  return `${shown(column.minimum, { digits, roundingMode: "ceil" })} to ${shown(column.maximum, { digits, roundingMode: "floor" })}`;
}

/** How many digits of the bounds matter: bounds of a narrow range have many in common. */
function boundDigits({ minimum, maximum }) {
  const common = Math.log10(Math.max(Math.abs(minimum), Math.abs(maximum)) / (maximum - minimum));
  return Number.isFinite(common) ? Math.min(BOUND_DIGITS + Math.max(Math.ceil(common), 0), 21) : 21;
}

function date(column, id) {
  const input = element("input", { id, type: hasTime(column) ? "datetime-local" : "date", step: hasTime(column) ? 1 : null });
  const worded = (text) => isoDate(column, moment(text));
  const hint = `${column.minimum.slice(0, 10)} to ${column.maximum.slice(0, 10)}`;
  return withSlider(column, input, { read: () => input.value || null, worded, hint: hasTime(column) ? `${hint}, UTC` : hint });
}

function oneOfTwo(column, id) {
  const options = [["yes", true], ["no", false], ...(column.nullable ? [["missing", null]] : [])];
  const radios = options.map(([, value], index) =>
    element("input", { type: "radio", name: id, id: `${id}-${index}`, value: String(value) }));
  const labels = options.map(([text], index) => element("label", { for: `${id}-${index}` }, text));
  const segments = element("div", { class: "segments" }, ...radios.flatMap((radio, index) => [radio, labels[index]]));
  return {
    parts: [segments],
    isGroup: true,
    hint: "",
    track: null,
    read: () => options[radios.findIndex((radio) => radio.checked)]?.[1] ?? null,
    write: (value) => radios.forEach((radio, index) => (radio.checked = options[index][1] === value)),
  };
}

function categorical(column, id) {
  const known = new Set(column.categories);
  let other = "another label";
  while (known.has(other)) other += " ";
  const values = [...column.categories, other, ...(column.nullable ? [null] : [])];
  const texts = [...column.categories, "any other label", ...(column.nullable ? ["missing"] : [])];
  const select = element("select", { id }, ...texts.map((text, index) => element("option", { value: index }, text)));
  const count = column.categories.length;
  return {
    parts: [select],
    hint: `${count} ${count === 1 ? "label" : "labels"} in training`,
    track: null,
    read: () => values[select.selectedIndex] ?? null,
    write(value) {
      const label = value === null || value === "" ? null : String(value);
      select.selectedIndex = values.indexOf(label === null || known.has(label) ? label : other);
    },
  };
}

function withSlider(column, input, { read, worded, hint }) {
  const track = trackOf(column);
  const write = (value) => (input.value = value === null ? "" : worded(value));
  if (track === null) return { parts: [input], hint, track, read, write };
  const slider = element("input", { type: "range", min: track.low, max: track.high, step: track.step, "aria-label": `${column.name}: slide` });
  const follow = () => {
    const number = track.toNumber(read());
    slider.classList.toggle("idle", number === null);
    slider.value = number ?? (track.low + track.high) / 2;
    slider.setAttribute("aria-valuetext", number === null ? "missing" : track.worded(number));
  };
  input.addEventListener("input", follow);
  slider.addEventListener("input", () => {
    input.value = String(track.toValue(Number(slider.value)));
    follow();
  });
  return { parts: [input, slider], hint, track, read, write: (value) => { write(value); follow(); } };
}

function framed(column, id, control, hint, error) {
  const note = column.nullable ? element("span", { class: "optional" }, "may be missing") : "";
  const described = `${id}-hint ${id}-error`;
  control.parts[0].setAttribute("aria-describedby", described);
  if (control.isGroup) {
    const legend = element("legend", {}, ...breakable(column.name), " ", note);
    return element("fieldset", { class: "field", "aria-describedby": described }, legend, ...control.parts, hint, error);
  }
  const label = element("label", { for: id }, ...breakable(column.name), " ", note);
  return element("div", { class: "field" }, label, ...control.parts, hint, error);
}

function isOutside(control) {
  const number = control.track.toNumber(control.read());
  return number !== null && (number < control.track.low || number > control.track.high);
}

const missing = (column) => (column.nullable ? "missing" : null);
const hasTime = (column) =>
  [column.minimum, column.maximum, column.example ?? ""].some((text) => text.length > 10 && !MIDNIGHT.test(text));
const decimalsOf = (span) => Math.min(Math.max(Math.ceil(-Math.log10(span / SLIDER_DIGITS)), 0), 12);

/** Days since 1970; a text without an offset is in UTC, as the server reads it. */
function moment(text) {
  const hasOffset = text.length <= 10 || /(Z|[+-]\d\d:?\d\d)$/.test(text);
  return Date.parse(hasOffset ? text : `${text}Z`) / DAY_MS;
}

/** Days since 1970 as the column's fields have them. A fraction of a day may be a hair less than the milliseconds it is of. */
function isoDate(column, days) {
  return new Date(Math.round(days * DAY_MS)).toISOString().slice(0, hasTime(column) ? 19 : 10);
}
