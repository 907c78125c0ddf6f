// The API key of this tab, where the gateway requires one. It is kept in sessionStorage only, is
// gone with the tab, and is sent with every request.

import { own } from "./base.js";
import { $ } from "./dom.js";

const NAME = own("oee-key");
const INVALID = "This key is not valid: mistyped, expired or revoked.";
const listeners = new Set();

/** `listener` is called when a key is asked for: what the page shows is not current then. */
export const onAsked = (listener) => listeners.add(listener);

export const current = () => sessionStorage.getItem(NAME) ?? "";

export const headers = () => (current() ? { authorization: `Bearer ${current()}` } : {});

/** Removes the key and everything that was read with it. */
export function signOut() {
  sessionStorage.removeItem(NAME);
  location.reload();
}

let asking = null;

/** Asks for another key, because `used` lacks a scope: `detail` names it. */
export const lacking = (used, detail) => ask(used, `The last key is not enough: ${detail}.`);

/** Asks for a key, because `used` was rejected; it is empty where none was sent. */
export const rejected = (used) => ask(used, used ? INVALID : "");

/**
 * Asks the user for a key, once for all requests that fail meanwhile; resolves with the input.
 * If the key has changed since `used` was sent, the user is not asked. A key that replaces another
 * begins a new page: nothing that was read or begun with the old one stays.
 */
function ask(used, why) {
  if (used !== current()) return Promise.resolve();
  if (why) $("key-why").textContent = why;
  $("key").setAttribute("aria-invalid", String(Boolean(why)));
  $("key-forget").hidden = !used;
  $("key-forget").onclick = signOut;
  asking ??= new Promise((given) => {
    const dialog = $("key-dialog");
    $("key-form").onsubmit = () => {
      sessionStorage.setItem(NAME, $("key").value.trim());
      $("key").value = $("key-why").textContent = "";
      asking = null;
      if (used) location.reload();
      else given();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onclose = () => asking && dialog.showModal(); // a second Escape closes it all the same
    dialog.showModal();
    listeners.forEach((listener) => listener(Boolean(used)));
  }).then(() => listeners.forEach((listener) => listener(null)));
  return asking;
}
