// Point-in-time state, verification of the records, and proofs to download.

import * as api from "./api.js";
import { $, badge, el } from "./dom.js";
import { asked } from "./money.js";

const SOON_MS = 250; // after the slider stopped

export class AuditView {
  constructor() {
    this.asked = 0;
    this.atEnd = true; // until the slider is moved
    $("audit-at").addEventListener("input", () => this.moved());
    $("audit-order").addEventListener("input", () => this.soon());
    $("audit-form").addEventListener("submit", (event) => event.preventDefault());
    $("verify").addEventListener("click", () => this.verify());
    $("verify-stop").addEventListener("click", () => this.stop?.abort());
    $("proof").addEventListener("click", () => this.proof());
  }

  async open(orderId) {
    if (orderId) $("audit-order").value = orderId;
    try {
      const { log } = await api.ready();
      const slider = $("audit-at");
      slider.max = log.position ?? 0;
      slider.min = Math.min(1, slider.max);
      if (this.atEnd) slider.value = slider.max;
      this.message("");
    } catch (error) {
      this.message(error.message);
    }
    this.show();
  }

  /** Extends the range of the slider to a newer position and leaves its value. */
  grown(position) {
    if (Number($("audit-at").max) < position) $("audit-at").max = position;
  }

  at(text) {
    $("audit-time").textContent = text;
    $("audit-at").setAttribute("aria-valuetext", `position ${text}`);
  }

  message(text) {
    $("audit-status").textContent = text;
  }

  moved() {
    this.atEnd = $("audit-at").value === $("audit-at").max;
    this.soon();
  }

  soon() {
    this.at($("audit-at").value);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(), SOON_MS);
  }

  async show() {
    const [at, order] = [$("audit-at").value, $("audit-order").value.trim()];
    this.at(at);
    if (at === "0") return $("audit-state").replaceChildren(el("p", { class: "quiet" }, "Nothing has happened yet."));
    const asked = ++this.asked;
    try {
      const answer = order ? await api.orderAt(order, at) : await api.stateAt(at);
      if (asked !== this.asked) return;
      $("audit-state").replaceChildren(order ? this.order(answer) : this.all(answer));
    } catch (error) {
      if (asked === this.asked) $("audit-state").replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
    }
  }

  all({ position, time, orders, statuses }) {
    this.at(`${position.toLocaleString()}, ${time ? new Date(time).toLocaleString() : ""}`);
    const rows = Object.entries(statuses).map(([status, count]) => el("tr", {}, el("th", { scope: "row" }, badge(status)), el("td", { class: "n" }, count.toLocaleString())));
    return el("table", {}, el("caption", { class: "quiet" }, `${orders.toLocaleString()} orders`), el("tbody", {}, rows));
  }

  order({ position, following, order }) {
    if (!order) return el("p", { class: "quiet" }, "The order did not exist yet.");
    const facts = [["Status", badge(order.status)], ["By the event at", position.toLocaleString()], ["The next one at", following?.toLocaleString() ?? "none"], ["Version", String(order.version)],
      ["Swap", asked(order)], ["Route", order.dex ?? "–"], order.swapMode === "exactOut" ? ["At most", order.maxAmountIn ? `${order.maxAmountIn} ${order.tokenIn}` : "–"] : ["At least", order.minAmountOut ? `${order.minAmountOut} ${order.tokenOut}` : "–"], ["Signature", order.signature ?? "–"], ["Updated", new Date(order.updatedAt).toLocaleString()]];
    return el("dl", { class: "facts num" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }

  async verify() {
    const [bar, output] = [$("verify-progress"), $("verify-status")];
    this.stop = new AbortController();
    bar.hidden = $("verify-stop").hidden = false;
    $("verify").disabled = true;
    bar.value = 0;
    output.textContent = "Reading…";
    try {
      await api.verify(this.stop.signal, (name, data) => {
        if (name === "progress") bar.value = data.done / Math.max(1, data.of);
        else if (name === "fault") output.textContent = `It cannot be read: ${data.fault}`;
        else output.textContent = data.sound ? `Sound: ${data.events.toLocaleString()} events of ${data.orders.toLocaleString()} orders, archived through ${data.archivedThrough.toLocaleString()}.`
          : `BROKEN, first at position ${data.firstBadPosition}: ${data.problems[0].code}, ${data.problems[0].detail}`;
      });
    } catch (error) {
      output.textContent = error.name === "AbortError" ? "Stopped." : error.message;
    }
    bar.hidden = $("verify-stop").hidden = true;
    $("verify").disabled = false;
  }

  async proof() {
    const order = $("audit-order").value.trim();
    const output = $("proof-status");
    if (!order) return (output.textContent = "Name an order above.");
    try {
      const document_ = await api.proof(order);
      const url = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 1)], { type: "application/json" }));
      el("a", { href: url, download: `proof-${order}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      output.textContent = `${document_.events.length} events. engine audit check-proof says whether it holds.`;
    } catch (error) {
      output.textContent = error.message;
    }
  }
}
