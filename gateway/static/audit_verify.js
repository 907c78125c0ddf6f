// Verification of all records, with progress and a table of its findings.

import * as api from "./api.js";
import { inTurn } from "./audit_turn.js";
import { $, disable, el } from "./dom.js";
import { count } from "./numbers.js";

export class Verification {
  /** `show` moves the view to a position, and to an order where one is named. */
  constructor(show) {
    this.show = show;
    $("verify").addEventListener("click", () => this.run());
    $("verify-stop").addEventListener("click", () => this.stop?.abort());
  }

  async run() {
    const [bar, output] = [$("verify-progress"), $("verify-status")];
    this.stop = new AbortController();
    bar.hidden = $("verify-stop").hidden = false;
    disable($("verify"), true);
    $("findings").hidden = true;
    bar.value = 0;
    output.className = "";
    output.textContent = "Reading…";
    try {
      const told = (name, data) => {
        if (name === "progress") bar.value = data.done / Math.max(1, data.of);
        else if (name === "fault") output.textContent = `It cannot be read: ${data.fault}`;
        else this.verdict(data);
      };
      const { signal } = this.stop;
      await inTurn(() => api.verify(signal, told), () => !signal.aborted, (error) => (output.textContent = `${error.message}. This one waits.`));
      if (output.textContent === "Reading…") output.textContent = "The verification ended without a result. Try again.";
    } catch (error) {
      output.textContent = this.stop.signal.aborted ? "Stopped." : error.message;
    }
    bar.hidden = $("verify-stop").hidden = true;
    disable($("verify"), false);
  }

  verdict(data) {
    const output = $("verify-status");
    const losses = data.acceptedLosses ?? [];
    output.className = data.sound ? "good" : "bad";
    output.textContent = data.sound ? `Sound: ${count(data.events)} events of ${count(data.orders)} orders, archived through ${count(data.archivedThrough)}.`
      : `BROKEN, first at position ${count(data.firstBadPosition)}: ${data.problemCount === 1 ? "1 finding" : `${count(data.problemCount)} findings`}.`;
    if (losses.length) output.textContent += ` ${losses.length === 1 ? "1 loss was" : `${count(losses.length)} losses were`} accepted by an operator.`;
    $("findings").hidden = !data.problems.length;
    $("findings").replaceChildren(data.problems.length ? this.table(data) : "");
  }

  table({ problems, problemCount }) {
    const head = ["Position", "Store", "Finding", "Detail", "Order", "Mend"].map((name, index) => el("th", { scope: "col", class: !index && "n" }, name));
    const rows = problems.map((problem) => el("tr", {},
      el("td", { class: "n" }, problem.position ? el("button", { type: "button", class: "plain tight", title: "Show the state at this position", onclick: () => this.show(problem.position, problem.orderId) }, count(problem.position)) : "–"),
      el("td", {}, problem.store), el("th", { scope: "row" }, problem.code), el("td", {}, problem.detail),
      el("td", { class: "mono" }, problem.orderId ? el("a", { href: `#/orders/${problem.orderId}` }, problem.orderId) : problem.key ?? "–"), el("td", {}, problem.mend || "–")));
    const rest = problemCount - problems.length;
    return el("div", {}, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)),
      rest > 0 ? el("p", { class: "hint" }, `${count(rest)} more: `, el("code", {}, "engine audit verify"), " prints all of them.") : "");
  }
}
