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
    for (const method of METHODS.filter((name) => name in item)) {
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
  const lines = (operation.parameters ?? []).map((given) => followed(described, given)).map((parameter) => element("li", {},
    element("code", {}, parameter.name), ` in ${parameter.in}, ${wording(described, parameter.schema ?? {})}${parameter.required ? "" : ", optional"}`,
    parameter.description ? `: ${parameter.description}` : ""));
  return lines.length === 0 ? [] : [element("h3", {}, "Parameters"), element("ul", {}, ...lines)];
}

function body(described, operation) {
  const taken = Object.entries(followed(described, operation.requestBody ?? {}).content ?? {});
  return taken.flatMap(([type, media]) => [element("h3", {}, `Takes ${type}`), ...content(described, media)]);
}

function answers(described, operation) {
  return Object.entries(operation.responses ?? {}).flatMap(([status, reference]) => {
    const response = followed(described, reference);
    const kinds = Object.entries(response.content ?? {});
    const title = element("h3", {}, `${status} `, element("span", { class: "muted" }, response.description ?? ""));
    return [title, ...kinds.flatMap(([type, media]) => [element("p", { class: "hint" }, type), ...content(described, media)])];
  });
}

function content(described, media) {
  const example = media.example ?? Object.values(media.examples ?? {})[0]?.value;
  const schema = media.schema === undefined ? [] : [tree(described, media.schema, DEEPEST)];
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
  return element("ul", { class: "schema" }, ...fields.map(([name, field]) => {
    const deeper = Object.keys(unpacked(described, field).properties ?? {}).length > 0;
    return element("li", {}, element("code", {}, name), ` ${wording(described, field)}${required.has(name) ? "" : ", optional"}`,
      field.description ? element("span", { class: "muted" }, ` ${field.description}`) : "",
      deeper ? tree(described, field, levels - 1) : "");
  }));
}

/** The type in words. */
function wording(described, schema) {
  const plain = followed(described, schema);
  if (plain.enum !== undefined) return plain.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  const choices = plain.anyOf ?? plain.oneOf;
  if (choices !== undefined) return [...new Set(choices.map((one) => wording(described, one)))].join(" or ");
  if (plain.type === "array") return `list of ${wording(described, plain.items ?? {})}`;
  const type = [plain.type ?? "anything"].flat().join(" or ");
  return plain.format === undefined ? type : `${type} (${plain.format})`;
}

/** What has the fields: behind references, lists and "or nothing". */
function unpacked(described, schema) {
  const plain = followed(described, schema);
  if (plain.type === "array") return unpacked(described, plain.items ?? {});
  const choices = (plain.anyOf ?? plain.oneOf ?? []).filter((one) => one.type !== "null");
  return choices.length === 1 ? unpacked(described, choices[0]) : plain;
}

function followed(described, schema) {
  if (schema.$ref === undefined) return schema;
  const steps = schema.$ref.slice(2).split("/").map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((inner, step) => inner?.[step] ?? {}, described);
}
