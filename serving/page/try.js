/** The try-it page: a question made from a model's contract, asked again with every change. */

import { headline, query, showAnswer } from "./answer.js";
import { ask, modelPath, Refusal } from "./asking.js";
import { makeField } from "./columns.js";
import { alignSlider, drawCurve, stops } from "./curve.js";
import { byId, element, shown } from "./elements.js";
import { listenForKey, settleKey, wantKey } from "./key.js";
import { snippets } from "./snippets.js";

const PAUSE_MS = 120; // after a change, before the server is asked: a slider sends dozens a second
const MANY_COLUMNS = 16; // from here on a column can be looked for by name

// `card`: the server's description of the model; `version`: which one answered last; `fields`: one a column; `moved`: the field that the curve is about;
// `curve`: what the server said for it last; `asked`: the question under way.
const state = {
  card: null, version: "", fields: [], row: {}, prediction: null, moved: null, curve: null, asked: null, timer: 0,
};

listenForKey(start);
listen();
start();

/** Ask what is served, and open one model. */
function start() {
  return guarded(async () => {
    const models = await ask("models");
    settleKey();
    if (models.length === 0) throw new Refusal(0, "No model is served yet. Train one, then reload this page.");
    const names = models.map((model) => model.name);
    byId("model").replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    byId("chooser").hidden = names.length === 1;
    const name = names.includes(chosen()) ? chosen() : names[0];
    await open(name, name === state.card?.name ? state.row : {}); // what was filled in outlives a key that no longer does
  });
}

/** Show a model with its first example; or with values that are there already, when only its version changed. */
async function open(name, kept = {}) {
  const card = await ask(modelPath(name));
  const { columns, target } = card.contract;
  const fields = columns.map((column, index) => makeField(column, index, changed));
  Object.assign(state, { card, version: card.version, fields, prediction: null, curve: null });
  byId("fields").replaceChildren(...fields.map((field) => field.element));
  byId("moved").replaceChildren(...columns.map((column, index) => element("option", { value: index }, column.name)));
  byId("model").value = name;
  byId("name").textContent = name;
  byId("answer-title").textContent = target.name;
  byId("find-row").hidden = columns.length < MANY_COLUMNS;
  byId("find").value = "";
  document.title = `${name} · sweepstack`;
  showAbout();
  fill({ ...example(), ...kept });
  move(fields.find((field) => field.track !== null) ?? fields[0]);
  byId("trouble").hidden = true;
  byId("page").hidden = byId("glance").hidden = false;
  readRow();
  await answer();
}

function listen() {
  byId("question").addEventListener("submit", (event) => {
    event.preventDefault();
    soon(0);
  });
  byId("model").addEventListener("change", (event) => (location.hash = encodeURIComponent(event.target.value)));
  window.addEventListener("hashchange", () => {
    if (state.card !== null && isServed(chosen()) && chosen() !== state.card.name) guarded(() => open(chosen()));
  });
  byId("moved").addEventListener("change", (event) => {
    move(state.fields[event.target.value]);
    soon(0);
  });
  byId("slide").addEventListener("input", (event) => {
    state.moved.write(state.moved.track.toValue(Number(event.target.value)));
    soon(PAUSE_MS);
  });
  byId("find").addEventListener("input", (event) => find(event.target.value));
  // The address keeps the name of the model: a link to a place within the page would take it away.
  for (const link of document.querySelectorAll("a[href='#answer']")) link.addEventListener("click", goToAnswer);
  for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
  new ResizeObserver(redraw).observe(byId("curve"));
}

/** A field was changed: the curve goes with the hand. */
function changed(column) {
  if (state.moved.column !== column) move(state.fields.find((field) => field.column === column));
  soon(PAUSE_MS);
}

/** Ask after a while, if nothing else happens. */
function soon(milliseconds) {
  readRow();
  clearTimeout(state.timer);
  state.timer = setTimeout(() => guarded(answer), milliseconds);
}

/** Ask for the present row, then for the curve through it. A newer question ends an older one. */
async function answer() {
  state.asked?.abort();
  const { signal } = (state.asked = new AbortController());
  byId("answer").setAttribute("aria-busy", "true");
  const said = await ask(predictPath(query(state.card)), { body: { rows: [state.row] }, signal });
  if (said.version !== state.version && (await renew(said.version))) return;
  [state.prediction] = said.predictions;
  showPrediction();
  await askCurve(signal);
  redraw();
}

/** Where this page asks: what is typed or slid to here is no traffic, whose distribution somebody watches. */
const predictPath = (more = "") => `${modelPath(state.card.name)}/predict?traffic=false${more.replace("?", "&")}`;

/** Another version answers now: learn of it once, and make another form if it needs one; then true.
 *  While several processes change over, the card may be of one version and the next answer of another. */
async function renew(version) {
  const card = await ask(modelPath(state.card.name));
  state.version = version;
  const shape = ({ contract }) => JSON.stringify([contract.columns.map((column) => [column.kind, column.name, column.categories]), contract.target]);
  if (shape(card) !== shape(state.card)) {
    await open(card.name, state.row);
    return true;
  }
  state.card = card;
  showAbout();
  return false;
}

/** One request for all points; none when only the moved column has changed since the last. */
async function askCurve(signal) {
  const { column } = state.moved;
  const key = JSON.stringify([column.name, state.version, Object.entries(state.row).filter(([name]) => name !== column.name)]);
  if (state.curve?.key === key) return;
  const points = stops(column);
  const columns = Object.entries(state.row).map(([name, value]) =>
    [name, points.map((point) => (name === column.name ? point.value : value))]);
  const body = { columns: Object.fromEntries(columns) };
  byId("curve-said").textContent = "";
  try {
    const { predictions } = await ask(predictPath(), { body, signal });
    state.curve = { key, points, predictions };
  } catch (error) {
    if (!(error instanceof Refusal) || error.status === 401) throw error;
    state.curve = null;
    byId("curve").replaceChildren();
    byId("curve-said").textContent = error.message;
  }
}

/** Do it, and show what goes wrong where it belongs. */
async function guarded(work) {
  try {
    await work();
    blame([], "");
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) wantKey();
    blame(error.details, error.message);
  }
  byId("answer").removeAttribute("aria-busy");
}

/** Each mistake beside its column; what has no column beside the answer, or alone while there is no page. */
function blame(details, message) {
  for (const field of state.fields) {
    field.blame(details.find((detail) => detail.path[2] === field.column.name)?.message ?? "");
  }
  find(byId("find").value);
  const others = details.filter((detail) => !state.fields.some((field) => field.column.name === detail.path[2]));
  const said = [message, ...others.map((detail) => detail.message)].filter((text) => text !== "").join(" ");
  const isOpen = state.card !== null;
  byId("said").textContent = said;
  byId("trouble").textContent = said;
  byId("trouble").hidden = isOpen || said === "" || !byId("key-card").hidden;
  for (const id of ["answer", "curve"]) byId(id).classList.toggle("stale", said !== "");
  if (said !== "") byId("glance").textContent = said;
}

function showPrediction() {
  const { target } = state.card.contract;
  byId("headline").textContent = byId("glance").textContent = headline(target, state.prediction);
  showAnswer(byId("details"), state.card.contract, state.prediction);
}

function redraw() {
  if (state.curve === null) return;
  const { column, track } = state.moved;
  const value = state.row[column.name];
  const now = { value, at: track?.toNumber(value) ?? null, prediction: state.prediction };
  byId("curve").classList.remove("awaited");
  drawCurve(byId("curve"), { column, target: state.card.contract.target, now, ...state.curve });
  if (track !== null) alignSlider(byId("slide"), byId("curve"));
}

/** Let the curve be about another field. Until its own is there none is shown, neither this one nor one still under way. */
function move(field) {
  state.asked?.abort();
  byId("curve").classList.add("awaited");
  state.moved = field;
  state.curve = null;
  byId("moved").value = state.fields.indexOf(field);
  const { track, column } = field;
  const slide = byId("slide");
  slide.hidden = track === null;
  if (track === null) return;
  for (const [name, value] of Object.entries({ min: track.low, max: track.high, step: track.step })) slide.setAttribute(name, value);
  slide.setAttribute("aria-label", `${column.name}: slide along the curve`);
}

function fill(row) {
  for (const field of state.fields) field.write(row[field.column.name]);
}

/** Read the form; what depends on it alone follows at once. */
function readRow() {
  state.row = Object.fromEntries(state.fields.map((field) => [field.column.name, field.read()]));
  const lines = snippets(state.card, state.row);
  byId("curl").textContent = lines.curl;
  byId("python").textContent = lines.python;
  const { track, column } = state.moved;
  if (track === null) return;
  const number = track.toNumber(state.row[column.name]);
  byId("slide").value = number ?? (track.low + track.high) / 2;
  byId("slide").setAttribute("aria-valuetext", number === null ? "missing" : track.worded(number));
}

function example() {
  return Object.fromEntries(state.card.contract.columns.map((column) => [column.name, column.example]));
}

/** Show the columns of such names, and those whose mistakes must be seen. */
function find(text) {
  const wanted = text.trim().toLowerCase();
  for (const { column, element: shownAs } of state.fields) {
    shownAs.hidden = !column.name.toLowerCase().includes(wanted) && !shownAs.classList.contains("wrong");
  }
}

function goToAnswer(event) {
  event.preventDefault();
  byId("answer").scrollIntoView();
  byId("answer").focus({ preventScroll: true });
}

async function copy(button) {
  const text = byId(button.dataset.copies).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Only pages from this machine or over HTTPS may write there: mark it, so that Ctrl-C does.
    getSelection().selectAllChildren(byId(button.dataset.copies));
    button.textContent = "Marked";
  }
  byId("copied").textContent = button.textContent;
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

/** What is known of the model, and which version of it answers. */
function showAbout() {
  const { card, version } = state;
  const { lineage, columns, target } = card.contract;
  const counted = `${columns.length} ${columns.length === 1 ? "column" : "columns"}`;
  byId("about").textContent = `predicts ${target.name} from ${counted} · version\u00a0${version}`;
  const metrics = Object.entries(card.metrics).map(([part, values]) => [
    `On the ${part} part`, Object.entries(values).map(([name, value]) => `${name} ${shown(value)}`).join(", ")]);
  const members = lineage.members.length === 1 ? "one trial" : `an ensemble of ${lineage.members.length} trials`;
  const facts = [
    ...metrics,
    ["Made", `${lineage.created.slice(0, 10)}, ${members} of sweep ${lineage.sweep}`],
    ["Runs", lineage.members.map((member) => member.name).join(", ")],
  ];
  byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

/** The model that the address names. */
function chosen() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

const isServed = (name) => [...byId("model").options].some((option) => option.value === name);
