// The keyboard: one row for each key, and the sheet that lists them.

import { $, el } from "./dom.js";

const TYPING = /^(INPUT|SELECT|TEXTAREA)$/;

/** `rows`: [{keys, text, key, act}]; `act` returns whether it did something. */
export function shortcuts(rows) {
  $("shortcuts-list").replaceChildren(...rows.map(({ keys, text }) => [el("dt", {}, keys.map((key) => el("kbd", {}, key))), el("dd", {}, text)]).flat());
  $("shortcuts-open").addEventListener("click", () => $("shortcuts").showModal());
  $("shortcuts-close").addEventListener("click", () => $("shortcuts").close());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = TYPING.test(event.target.tagName) && !/^(checkbox|radio)$/.test(event.target.type);
    const row = rows.find(({ key, always }) => key === event.key && (always || !typing));
    if (row?.act(event)) event.preventDefault();
  });
}
