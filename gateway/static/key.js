// The API key of this tab, where the gateway requires one. It is kept in sessionStorage only, is
// gone with the tab, and is sent with every request.

import { $ } from "./dom.js";

const NAME = "oee-key";

export const current = () => sessionStorage.getItem(NAME) ?? "";

export const headers = () => (current() ? { authorization: `Bearer ${current()}` } : {});

let asking = null;

/**
 * Asks the user for a key, once for all requests that fail meanwhile; resolves with the input.
 * `used`: the key that was rejected; if it has changed since, the user is not asked. `why`: the scope
 * that it lacked.
 */
export function ask(used, why = "") {
  if (used !== current()) return Promise.resolve();
  if (why) $("key-why").textContent = `The last key is not enough: ${why}.`;
  asking ??= new Promise((given) => {
    const dialog = $("key-dialog");
    $("key-form").onsubmit = () => {
      sessionStorage.setItem(NAME, $("key").value.trim());
      $("key").value = $("key-why").textContent = "";
      asking = null;
      given();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return asking;
}
