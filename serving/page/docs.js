/** The API's OpenAPI description as a page to read: every route, what it takes, what it answers, an example of each. */

import { ask, Refusal } from "./asking.js";
import { byId, element } from "./elements.js";
import { listenForKey, settleKey, wantKey } from "./key.js";

const DEEPEST = 6; // levels of a schema; what lies deeper is named and not unfolded
const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const PREDICTION = /^\/models\/([^/{}]+)\/predict$/;

listenForKey(start);
start();

async function start() {
  try {
    const described = await ask("openapi.json");
    settleKey();
    show(described);
    byId("trouble").hidden = true;
    byId("page").hidden = false;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) wantKey();
    byId("page").hidden = true;
    byId("trouble").textContent = error.message;
    byId("trouble").hidden = error.status === 401;
  }
}

function show(described) {
  byId("about").textContent = described.info.description ?? "";
  const groups = new Map();
  for (const [path, item] of Object.entries(described.paths)) {
    for (const method of METHODS.filter((own) => own in item)) {
      const tag = item[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), route(described, method, path, item[method])]);
    }
  }
  byId("routes").replaceChildren(...[...groups].map(([tag, routes]) =>
    element("section", { class: "card routes" }, element("h2", {}, tag), ...routes)));
}

function route(described, method, path, operation) {
  const head = element("summary", {},
    element("span", { class: `method ${method}` }, method.toUpperCase()), " ",
    element("code", {}, path), " ", element("span", { class: "muted" }, operation.summary ?? ""));
  const name = PREDICTION.exec(path)?.[1];
  const link = name === undefined ? "" : element("p", {}, element("a", { href: `./#${name}` }, "Try it with a form"));
  const said = operation.description ? element("p", {}, operation.description) : "";
  return element("details", {}, head, said, link, ...parameters(described, operation), ...body(described, operation),
    ...answers(described, operation));
}

function parameters(described, operation) {
  const lines = (operation.parameters ?? []).map((own) => followed(described, own)).map((own) => element("li", {},
    element("code", {}, own.name), ` in ${own.in}, ${wording(described, own.schema ?? {})}${own.required ? "" : ", optional"}`,
    own.description ? `: ${own.description}` : ""));
  return lines.length === 0 ? [] : [element("h3", {}, "Parameters"), element("ul", {}, ...lines)];
}

function body(described, operation) {
  const taken = Object.entries(followed(described, operation.requestBody ?? {}).content ?? {});
  return taken.flatMap(([type, own]) => [element("h3", {}, `Takes ${type}`), ...content(described, own)]);
}

function answers(described, operation) {
  return Object.entries(operation.responses ?? {}).flatMap(([status, reference]) => {
    const response = followed(described, reference);
    const kinds = Object.entries(response.content ?? {});
    const title = element("h3", {}, `${status} `, element("span", { class: "muted" }, response.description ?? ""));
    return [title, ...kinds.flatMap(([type, own]) => [element("p", { class: "hint" }, type), ...content(described, own)])];
  });
}

function content(described, own) {
  const example = own.example ?? Object.values(own.examples ?? {})[0]?.value;
  const schema = own.schema === undefined ? [] : [tree(described, own.schema, DEEPEST)];
  if (example === undefined) return schema;
  const text = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  return [...schema, element("pre", { tabindex: "0", "aria-label": "An example" }, text)];
}

/** A schema as nested lists: each field with its type and what is said about it. */
function tree(described, schema, levels) {
  const inner = unpacked(described, schema);
  const required = new Set(inner.required ?? []);
  const fields = Object.entries(inner.properties ?? {});
  if (fields.length === 0 || levels === 0) return element("p", { class: "hint" }, wording(described, schema));
  return element("ul", { class: "schema" }, ...fields.map(([name, own]) => {
    const deeper = Object.keys(unpacked(described, own).properties ?? {}).length > 0;
    return element("li", {}, element("code", {}, name), ` ${wording(described, own)}${required.has(name) ? "" : ", optional"}`,
      own.description ? element("span", { class: "muted" }, ` ${own.description}`) : "",
      deeper ? tree(described, own, levels - 1) : "");
  }));
}

/** The type in words. */
function wording(described, schema) {
  const own = followed(described, schema);
  if (own.enum !== undefined) return own.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (own.const !== undefined) return JSON.stringify(own.const);
  const choices = own.anyOf ?? own.oneOf;
  if (choices !== undefined) return [...new Set(choices.map((one) => wording(described, one)))].join(" or ");
  if (own.type === "array") return `list of ${wording(described, own.items ?? {})}`;
  const type = [own.type ?? "anything"].flat().join(" or ");
  return own.format === undefined ? type : `${type} (${own.format})`;
}

/** What has the fields: behind references, lists and "or nothing". */
function unpacked(described, schema) {
  const own = followed(described, schema);
  if (own.type === "array") return unpacked(described, own.items ?? {});
  const choices = (own.anyOf ?? own.oneOf ?? []).filter((one) => one.type !== "null");
  return choices.length === 1 ? unpacked(described, choices[0]) : own;
}

function followed(described, schema) {
  if (schema.$ref === undefined) return schema;
  const steps = schema.$ref.slice(2).split("/").map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((inner, step) => inner?.[step] ?? {}, described);
}
