// The API key of this tab, where the gateway wants one. It is kept in sessionStorage only: it goes
// with the tab, and with every request, and nowhere else.

import { $ } from "./dom.js";

const NAME = "oee-key";

export const headers = () => {
  const key = sessionStorage.getItem(NAME);
  return key ? { authorization: `Bearer ${key}` } : {};
};

let asking = null;

/** Asks for a key, once for all who are refused meanwhile; resolves when one was given. */
export function ask() {
  asking ??= new Promise((given) => {
    const dialog = $("key-dialog");
    $("key-form").onsubmit = () => {
      sessionStorage.setItem(NAME, $("key").value.trim());
      $("key").value = "";
      asking = null;
      given();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return asking;
}
