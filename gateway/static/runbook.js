// The reasons of /readyz as a table: the alert rule of each, and what an operator does about it.

import { el } from "./dom.js";
import { ACTIONS, ALERTS } from "./readiness.js";

/** Rows of part, reason, alert and remedy; null while nothing is wrong. */
export function reasonTable({ reasons = {}, codes = {} }) {
  const rows = Object.entries(reasons).map(([part, text]) => {
    const [alert, action] = [ALERTS[codes[part]] ?? "", ACTIONS[codes[part]] ?? "Run engine doctor."];
    return el("tr", {}, el("th", { scope: "row" }, part), el("td", {}, text), el("td", {}, alert), el("td", {}, action));
  });
  if (!rows.length) return null;
  const head = ["Part", "What is wrong", "Alert", "What to do"].map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}
