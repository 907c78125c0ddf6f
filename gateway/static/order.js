// One order: what was asked, every step with how long it took, the quotes, the transaction, the raw
// events with their hashes. Drawn again with every event of the order.

import * as api from "./api.js";
import * as chain from "./chain.js";
import { $, announce, badge, clock, el } from "./dom.js";
import {
  AttemptFailed, LABELS, OrderAmended, OrderArmed, OrderConfirmed, OrderRouted, OrderTriggered,
  TransactionBuilt, TransactionInDoubt, TransactionSubmitted,
} from "./events.js";
import { grouped } from "./money.js";
import { explained, quoteList, warningList } from "./quotes.js";
import { ENDED } from "./store.js";

const READ_AGAIN = new Set([TransactionSubmitted, TransactionInDoubt]);
const CANCELLABLE = new Set(["pending", "watching", "routing", "building"]);
const DETAILS = {
  [OrderRouted]: (f, o) => `${f.dex}, ${grouped(f.amountOut)} ${o.tokenOut}, at least ${grouped(f.minAmountOut)}`,
  [OrderTriggered]: (f) => `${f.cause} at ${f.dex}, price ${f.price}, slot ${f.slot}`,
  [OrderConfirmed]: (f, o) => `${grouped(f.amountOut)} ${o.tokenOut} at ${f.executedPrice}, slot ${f.slot}`,
  [TransactionBuilt]: (f) => `attempt ${f.attempt}, valid until height ${f.lastValidHeight}`,
  [TransactionSubmitted]: (f) => `attempt ${f.attempt}`,
  [AttemptFailed]: (f) => `${f.stage}: ${f.error}${f.detail ? `, ${f.detail}` : ""}`,
  [TransactionInDoubt]: (f) => `${f.reason}${f.detail ? `, ${f.detail}` : ""}`,
  [OrderAmended]: (f) => (f.targetPrice ? `target ${f.targetPrice}` : ""),
  [OrderArmed]: (f) => `from slot ${f.slot}`,
};

export class OrderView {
  constructor(store, close) {
    this.close = close;
    this.id = "";
    this.events = [];
    this.loading = null;
    this.store = store;
    store.onChange(({ frame }) => frame && frame.orderId === this.id && this.take(frame));
  }

  async open(orderId) {
    this.id = orderId;
    [this.order, this.events, this.problem, this.rawOpen, this.chain] = [null, [], "", false, null];
    $("order").hidden = false;
    this.draw();
    await this.load();
    if (this.id === orderId) $("order").focus({ preventScroll: innerWidth > 1000 });
  }

  hide() {
    this.id = "";
    $("order").hidden = true;
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
    const head = el("div", { class: "head" }, el("h2", { id: "order-title" }, "Order ", order ? badge(order.status) : ""), close);
    const parts = [head, el("p", { class: "mono quiet" }, this.id)];
    if (this.problem) parts.push(el("p", { class: "error", role: "alert" }, this.problem));
    if (order) parts.push(this.actions(order), this.facts(order), this.timeline(order), this.quotes(order), this.transaction(order), this.links(), this.raw());
    const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
    box.replaceChildren(...parts.filter(Boolean));
    // Redrawn with every event: the keyboard focus stays where it was.
    if (focused) ($(focused) ?? box).focus({ preventScroll: true });
  }

  actions(order) {
    if (!CANCELLABLE.has(order.status)) return null;
    const button = el("button", { type: "button", id: "cancel", class: "plain danger", onclick: () => this.cancel(button) }, "Cancel order");
    return el("div", { class: "actions" }, button);
  }

  async cancel(button) {
    button.disabled = true;
    try {
      await api.cancel(this.id);
      announce("The order is cancelled");
    } catch (error) {
      this.problem = error.code === "too-late" ? "Too late: the transaction was sent before." : error.message;
      this.draw();
    }
  }

  facts(order) {
    const [into, out, exactOut] = [order.tokenIn, order.tokenOut, order.swapMode === "exactOut"];
    const bound = exactOut ? ["At most", order.maxAmountIn && `${grouped(order.maxAmountIn)} ${into}`] : ["At least", order.minAmountOut && `${grouped(order.minAmountOut)} ${out}`];
    const rows = [
      ["Type", [order.type, order.timeInForce].filter(Boolean).join(" ")],
      [exactOut ? "Receive exactly" : "Spend exactly", `${grouped(order.amount)} ${exactOut ? out : into}`], bound,
      ["Spent", order.status === "confirmed" && `${grouped(order.amountIn)} ${into}`], ["Received", order.status === "confirmed" && `${grouped(order.amountOut)} ${out}`],
      ["Target price", grouped(order.targetPrice ?? "")], ["Least price", grouped(order.minPrice ?? "")], ["Highest price", order.maxPrice], ["Least liquidity", order.minLiquidity && `${grouped(order.minLiquidity)} ${into}`],
      ["Executed price", order.executedPrice && `${grouped(order.executedPrice)} ${out}/${into}`],
      ["Expires", order.expiresAt && new Date(order.expiresAt).toLocaleString()], ["Attempts", order.attempts ? String(order.attempts) : ""],
      ["Reason", [order.reason, order.detail].filter(Boolean).join(": ")], ["Parked", order.parkedDetail ?? order.parked], ["In doubt", order.inDoubt ? "the outcome of its transaction is unknown" : ""], ["Client order ID", order.clientOrderId],
    ];
    const shown = rows.filter(([, value]) => value);
    const lines = shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
    return el("div", {}, el("h3", {}, "Terms and outcome"), el("dl", { class: "facts num" }, lines), warningList(order.warnings));
  }

  timeline(order) {
    let before = null;
    const steps = this.events.map((frame) => {
      const took = before === null ? "" : `+${duration(Date.parse(frame.timestamp) - before)}`;
      before = Date.parse(frame.timestamp);
      const detail = DETAILS[frame.event]?.(frame, order) ?? frame.reason ?? "";
      return el("li", { class: frame.status }, el("div", { class: "line" }, LABELS[frame.event] ?? frame.event, el("time", { class: "num", datetime: frame.timestamp }, `${clock(frame.timestamp)} ${took}`)), detail ? el("small", {}, detail) : "");
    });
    const [first, last] = [this.events[0], this.events.at(-1)];
    const whole = first ? ` · ${duration(Date.parse(last.timestamp) - Date.parse(first.timestamp))} in all` : "";
    return el("div", {}, el("h3", {}, `Timeline${whole}`), el("ol", { class: "steps", id: "steps" }, steps));
  }

  quotes(order) {
    const routed = this.events.findLast((frame) => frame.quotes?.length);
    if (!routed) return null;
    const best = routed.quotes.find((quote) => quote.pool === routed.pool && quote.amountOut === routed.amountOut);
    return el("div", {}, el("h3", {}, "Quotes compared"), quoteList(routed.quotes, best, order), routed.why ? el("p", { class: "hint" }, explained(routed.why, routed.quotes)) : "");
  }

  transaction(order) {
    const signature = order.txHash ?? order.signature;
    if (!signature) return null;
    const copy = el("button", { type: "button", id: "copy", class: "plain", onclick: async () => { await navigator.clipboard.writeText(signature); announce("Copied"); copy.textContent = "Copied"; } }, "Copy signature");
    // Only a link: the page itself sends requests to its gateway only.
    const look = order.explorerUrl && el("a", { class: "plain", id: "explorer", href: order.explorerUrl, target: "_blank", rel: "noopener noreferrer" }, "Open in the explorer");
    return el("div", {}, el("h3", {}, "Transaction"), el("p", { class: "mono", id: "signature" }, signature),
      ...costs(order).map((text) => el("p", { class: "hint" }, text)), el("div", { class: "actions" }, copy, look || ""));
  }

  links() {
    if (!this.chain) return null;
    return el("div", {}, el("h3", {}, "Hash chain"), el("p", { id: "chain", class: this.chain.sound === false ? "error" : "hint" }, this.chain.text));
  }

  raw() {
    const list = this.events.map((frame) => el("div", {}, el("p", { class: "mono quiet" }, `#${frame.position} ${frame.event} v${frame.version} · hash ${frame.hash}`), el("pre", { tabindex: "0" }, JSON.stringify(frame, null, 2))));
    const box = el("details", { open: this.rawOpen, ontoggle: () => (this.rawOpen = box.open) }, el("summary", { id: "raw-summary" }, `Raw events and hashes (${this.events.length})`), list);
    return box;
  }
}

// With amountIn and amountOut all that an order changed in the wallet.
function costs(order) {
  return [
    order.feeLamports && `Network fee ${grouped(String(order.feeLamports))} lamports`,
    order.rentLamports && `Rent of token accounts left open ${grouped(String(order.rentLamports))} lamports`,
    ...(order.fills?.length > 1 ? order.fills : []).map((fill) => `Swapped ${amount(fill.amountIn, fill.tokenIn)} → ${amount(fill.amountOut, fill.tokenOut)}`),
    ...(order.leftovers ?? []).map(({ token, amount }) => `Left between two swaps ${grouped(amount)} ${token}`),
  ].filter(Boolean);
}

// Null where the balances of a pool did not tell.
function amount(value, token) {
  return value === null ? `? ${token}` : `${grouped(value)} ${token}`;
}

function duration(ms) {
  return ms < 1000 ? `${ms} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}
