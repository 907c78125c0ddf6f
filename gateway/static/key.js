// The API key of this tab, where the gateway wants one. It is kept in sessionStorage only: it goes
// with the tab, and with every request, and nowhere else.

import { $ } from "./dom.js";

const NAME = "oee-key";

export const current = () => sessionStorage.getItem(NAME) ?? "";

export const headers = () => (current() ? { authorization: `Bearer ${current()}` } : {});

let asking = null;

/**
 * Asks for a key, once for all who are refused meanwhile; resolves when one was given. `used`: the
 * key that was refused: where there is another one by now, nobody is asked. `why`: what it lacked.
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
