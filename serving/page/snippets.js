/** The present question as lines to paste: curl for a shell, Python with nothing but its standard library. */

import { query } from "./answer.js";
import { hasKey, modelPath } from "./asking.js";

// The key itself is never written out: what is copied ends up in chats and repositories.
const KEY_VARIABLE = "SWEEPSTACK_KEY";

/** { curl, python } for one row of the model that this card describes. */
export function snippets(card, row) {
  const url = new URL(`${modelPath(card.name)}/predict${query(card)}`, document.baseURI).href.split("#")[0];
  return { curl: curl(url, row), python: python(url, row) };
}

function curl(url, row) {
  const lines = [`curl -s ${quoted(url)}`, `-H 'Content-Type: application/json'`];
  if (hasKey()) lines.push(`-H "Authorization: Bearer $${KEY_VARIABLE}"`);
  lines.push(`-d ${quoted(JSON.stringify({ rows: [row] }))}`);
  return lines.join(" \\\n  ");
}

function python(url, row) {
  const headers = [`"Content-Type": "application/json"`];
  if (hasKey()) headers.push(`"Authorization": "Bearer " + os.environ["${KEY_VARIABLE}"]`);
  const cells = Object.entries(row).map(([column, value]) => `    ${JSON.stringify(column)}: ${literal(value)},`);
  return [
    `import json`,
    ...(hasKey() ? [`import os`] : []),
    `import urllib.request`,
    ``,
    `row = {`,
    ...cells,
    `}`,
    `request = urllib.request.Request(`,
    `    ${JSON.stringify(url)},`,
    `    data=json.dumps({"rows": [row]}).encode(),`,
    `    headers={${headers.join(", ")}},`,
    `)`,
    `with urllib.request.urlopen(request) as answer:`,
    `    print(json.load(answer)["predictions"][0])`,
  ].join("\n");
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}
