// One order: what was asked, every step with how long it took, the quotes, the transaction, the raw
// events with their hashes. Drawn again with every event of the order.

import { cancel, CANCELLABLE, cancelling, onCancelling, PARKED_ACTS, refusal, unpark } from "./acts.js";
import { Amend } from "./amend.js";
import * as api from "./api.js";
import * as chain from "./chain.js";
import { $, announce, badge, el } from "./dom.js";
import { LABELS, TransactionInDoubt, TransactionSubmitted } from "./events.js";
import { facts, quotesOf, raw, timeline, transaction } from "./order_parts.js";
import { patch } from "./patch.js";
import { may, onSession } from "./session.js";
import { ENDED, troubleOf } from "./store.js";
import { onPrices } from "./usd.js";

const READ_AGAIN = new Set([TransactionSubmitted, TransactionInDoubt]);

export class OrderView {
  constructor(store, close) {
    this.close = close;
    this.id = "";
    this.events = [];
    this.loading = null;
    this.store = store;
    store.onChange(({ frame }) => frame && frame.orderId === this.id && this.take(frame));
    onSession(() => this.draw());
    onPrices(() => this.draw());
    onCancelling(() => this.draw());
  }

  async open(orderId) {
    this.id = orderId;
    [this.order, this.events, this.problem, this.chain] = [null, [], "", null];
    this.quotes = null;
    this.amend = new Amend(orderId);
    $("order").hidden = false;
    $("order").replaceChildren(); // nothing of another order stays, open or typed
    $("view-orders").classList.add("with-order");
    this.draw();
    await this.load();
    if (this.id === orderId) $("order").focus({ preventScroll: innerWidth > 1000 });
  }

  hide() {
    this.id = "";
    $("order").hidden = true;
    $("view-orders").classList.remove("with-order");
  }

  async load() {
    const id = this.id;
    try {
      const [order, history] = await Promise.all([api.order(id), api.history(id)]);
      if (this.id !== id) return;
      const late = this.events.filter((frame) => frame.version > (history.events.at(-1)?.version ?? 0));
      [this.order, this.events, this.problem] = [order, [...history.events, ...late], ""];
    } catch (error) {
      if (this.id === id) this.problem = error.message;
    }
    this.draw();
    this.check(id);
    this.compare(id);
  }

  /** Asks for the quotes of now, where an order failed before it recorded any. */
  async compare(id) {
    if (this.order?.status !== "failed" || this.events.some((frame) => frame.quotes?.length)) return;
    const { tokenIn, tokenOut, amount, swapMode } = this.order;
    const answer = await api.quotes({ tokenIn, tokenOut, amount, ...(swapMode && { swapMode }) }).catch(() => null);
    if (this.id !== id || !answer) return;
    this.quotes = answer;
    this.draw();
  }

  async check(id) {
    const proved = await api.proof(id).then((proof) => chain.check(proof, this.events), () => null);
    if (this.id !== id || !proved) return;
    this.chain = proved;
    this.draw();
  }

  take(frame) {
    const last = this.events.at(-1)?.version ?? 0;
    if (frame.version <= last) return;
    const whole = frame.version === last + 1;
    this.events.push(frame);
    // The store has applied the frame already; fields that no frame has, such as the explorer link, are read.
    const known = this.store.orders.get(this.id);
    if (this.order && known) this.order = { ...this.order, ...known };
    if (!whole || !known || READ_AGAIN.has(frame.event) || ENDED.has(frame.status)) this.load();
    announce(`${LABELS[frame.event] ?? frame.event}`);
    this.draw();
  }

  draw() {
    if (!this.id) return;
    const [order, box] = [this.order, $("order")];
    const close = el("button", { type: "button", id: "order-close", class: "plain", onclick: this.close }, "Close");
    const trouble = order && troubleOf(order);
    const head = el("div", { class: "head" }, el("h2", { id: "order-title" }, "Order ", order ? badge(order.status) : "", trouble ? el("span", { class: "badge trouble" }, trouble) : ""), close);
    const parts = [head, el("p", { class: "mono quiet" }, this.id)];
    if (this.problem) parts.push(el("p", { class: "error", role: "alert", "data-key": "problem" }, this.problem));
    if (order) {
      parts.push(this.actions(order), this.amend.form(order), facts(order), timeline(order, this.events), quotesOf(order, this.events, this.quotes), transaction(order), this.links(), raw(this.events));
    }
    patch(box, parts);
  }

  actions(order) {
    const buttons = [];
    if (order.parked && may("admin")) {
      for (const [name, act] of Object.entries(PARKED_ACTS)) buttons.push(el("button", { type: "button", id: `parked-${name}`, class: act.danger ? "plain danger" : "plain", title: act.text, onclick: () => unpark(this.id, name) }, `${act.label}…`));
    } else if (!order.parked) {
      if (CANCELLABLE.has(order.status) && may("cancel")) buttons.push(el("button", { type: "button", id: "cancel", class: "plain danger", disabled: cancelling.has(this.id), onclick: () => this.cancel() }, "Cancel order"));
      if (this.amend.offered(order)) buttons.push(el("button", { type: "button", id: "amend", class: "plain", "aria-expanded": String(this.amend.open), onclick: () => this.toggle() }, "Amend"));
    }
    const why = order.parked ? el("p", { class: "trouble-note" }, `Parked: ${order.parkedDetail ?? order.parked}. ${may("admin") ? "It waits for one of these." : "It waits for an operator."}`) : "";
    return buttons.length || why ? el("div", { "data-key": "actions" }, why, el("div", { class: "actions" }, buttons)) : null;
  }

  toggle() {
    this.amend.toggle(this.order);
    this.draw();
    if (this.amend.open) $("amend-price")?.focus();
  }

  async cancel() {
    const id = this.id;
    const problem = await cancel(id).then(() => "", refusal);
    if (this.id !== id) return;
    this.problem = problem;
    if (!problem) announce("The order is cancelled");
    this.draw();
  }

  links() {
    if (!this.chain) return null;
    return el("div", { "data-key": "chain" }, el("h3", {}, "Hash chain"), el("p", { id: "chain", class: this.chain.sound === false ? "error" : "hint" }, this.chain.text));
  }
}
