/** The field for the API key: shown when the server wants one, hidden again when it takes it. */

import { forgetKey, hasKey, keepKey } from "./asking.js";
import { byId } from "./elements.js";

/** Makes the key's form work; `again` starts the page once more. */
export function listenForKey(again) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = byId("key").value.trim();
    if (key === "") return;
    if (!/^[!-~]+$/.test(key)) {
      byId("key-said").textContent = "A key has no spaces, and only letters, digits and signs of ASCII.";
      return;
    }
    keepKey(key);
    byId("key").value = "";
    again();
  });
  byId("forget").addEventListener("click", () => {
    forgetKey();
    again();
  });
}

/** Ask for the key; the one that was refused is forgotten. */
export function wantKey() {
  const wasRefused = hasKey();
  forgetKey();
  byId("key-card").hidden = false;
  byId("key-said").textContent = wasRefused ? "The server does not take this key." : "";
  byId("forget").hidden = true;
  byId("key").focus();
}

/** The server answers. */
export function settleKey() {
  byId("key-card").hidden = true;
  byId("forget").hidden = !hasKey();
}
