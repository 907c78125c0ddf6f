// Failure reasons for people: a sentence, what to do, and the stable code on hover.

import { el } from "./dom.js";
import { HINTS, SENTENCES } from "./reasons.js";

export const sentence = (code) => SENTENCES[code] ?? code ?? "";
export const hint = (code) => HINTS[code] ?? "";

/** Code and hint, for a title. */
export const tooltip = (code) => [code, hint(code)].filter(Boolean).join(": ");

/** The sentence with the hint after it; the code on hover. */
export function explained(code) {
  if (!code) return "";
  return el("span", { class: "reason", title: code }, sentence(code), hint(code) ? el("small", {}, ` ${hint(code)}`) : "");
}
