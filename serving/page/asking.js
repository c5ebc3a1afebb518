/** Asks the server, with the visitor's API key where one was given. The key lives as long as this tab, nowhere else. */

const KEY = "sweepstack.key";

/** An answer that is not 2xx, or none at all (status 0). */
export class Refusal extends Error {
  constructor(status, message, details = []) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);

/** The path of a model's own route, relative to the page. */
export const modelPath = (name) => `models/${encodeURIComponent(name)}`;

/** The parsed answer to GET, or to POST where there is a body. Raises Refusal; an aborted question raises AbortError. */
export async function ask(path, { body, signal } = {}) {
  // Not text/html: with that the browser would put its own password window in front of the page.
  const headers = { Accept: "application/json" };
  if (hasKey()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { headers, signal, credentials: "omit", method: body === undefined ? "GET" : "POST" };
  let answer;
  try {
    answer = await fetch(path, { ...options, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server does not answer. It may have been stopped; the page asks again when you change a value.");
  }
  return unwrapped(answer);
}

async function unwrapped(answer) {
  let said = null;
  try {
    said = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (answer.ok && said !== null) return said;
  const problem = said?.error ?? {};
  throw new Refusal(answer.status, problem.message ?? `The server answered ${answer.status}.`, problem.details ?? []);
}
