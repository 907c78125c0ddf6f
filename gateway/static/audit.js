// Point-in-time state, verification of the records, and proofs to download.
// The address is #/audit/ORDER/POSITION; both parts may be missing.

import * as api from "./api.js";
import { allOrders, differences, oneOrder } from "./audit_state.js";
import { inTurn } from "./audit_turn.js";
import { Verification } from "./audit_verify.js";
import { $, announce, disable, el } from "./dom.js";
import { count } from "./numbers.js";
import { patch } from "./patch.js";
import { absolute, zone } from "./times.js";

const SOON_MS = 250; // after the last change
const READING = "Reading…";
const ORDER_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NO_ORDER = "Enter an order ID above: a proof is of one order.";

/** A position as people write it, "12 345" included; null where it is none. */
export function positionOf(text) {
  const plain = text.replaceAll(/[\s\u202f,]/g, "");
  return /^[1-9]\d{0,14}$/.test(plain) ? Number(plain) : null;
}

export class AuditView {
  constructor() {
    this.asked = 0;
    this.following = true; // the newest position, until another one is chosen
    this.state = null; // of the shown order: {position, following}
    $("audit-zone").textContent = `(${zone()})`;
    $("audit-form").addEventListener("submit", (event) => event.preventDefault());
    $("audit-at").addEventListener("input", () => this.to($("audit-at").value, "slider"));
    $("audit-position").addEventListener("input", () => this.typed());
    $("audit-when").addEventListener("change", () => this.toTime());
    $("audit-compare").addEventListener("input", () => this.soon());
    $("audit-order").addEventListener("input", () => this.soon());
    $("audit-back").addEventListener("click", () => this.step(-1));
    $("audit-next").addEventListener("click", () => this.step(1));
    $("audit-newest").addEventListener("click", () => this.to($("audit-at").max));
    $("proof").addEventListener("click", () => this.download());
    new Verification((position, order) => {
      if (order) $("audit-order").value = order;
      this.to(position);
      $("audit-position").focus();
    });
  }

  get order() {
    return $("audit-order").value.trim();
  }

  /** `orderId` and the position in the address are taken over. */
  async open(orderId) {
    if (orderId) $("audit-order").value = decodeURIComponent(orderId);
    const position = positionOf(decodeURIComponent(location.hash.split("/")[3] ?? ""));
    try {
      const { log } = await api.ready();
      const slider = $("audit-at");
      slider.max = Math.max(log.position ?? 0, position ?? 0);
      slider.min = Math.min(1, slider.max);
      if (position) this.put(position);
      else if (this.following) this.put(Number(slider.max));
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

  message(text) {
    $("audit-status").textContent = text;
  }

  /** Puts a position into slider and box. */
  put(position, from = "") {
    this.following = Number(position) >= Number($("audit-at").max);
    if (from !== "slider") $("audit-at").value = position;
    if (from !== "box") $("audit-position").value = String(position);
    $("audit-position-error").textContent = "";
    this.at(`position ${count(position)}`);
  }

  at(text) {
    $("audit-time").textContent = text.replace("position ", "");
    $("audit-at").setAttribute("aria-valuetext", text);
  }

  to(position, from = "") {
    this.put(Number(position), from);
    this.soon();
  }

  typed() {
    const position = positionOf($("audit-position").value);
    const newest = Number($("audit-at").max);
    const wrong = position === null ? "A position is a whole number from 1 on." : position > newest ? `The newest position is ${count(newest)}.` : "";
    $("audit-position-error").textContent = wrong;
    $("audit-position").setAttribute("aria-invalid", String(Boolean(wrong)));
    if (!wrong) this.to(position, "box");
  }

  /** One event of the order, or of all, back or on. */
  step(by) {
    const [at, newest] = [Number($("audit-at").value), Number($("audit-at").max)];
    if (!this.order) return this.to(Math.min(newest, Math.max(1, at + by)));
    if (by > 0 && this.state?.following) this.to(this.state.following);
    if (by < 0 && this.state?.position) this.to(Math.max(1, this.state.position - 1));
  }

  /** Moves to the last event at or before the time that was picked. */
  async toTime() {
    const picked = new Date($("audit-when").value);
    if (Number.isNaN(picked.getTime())) return;
    clearTimeout(this.timer);
    const asked = ++this.asked;
    this.busy(true);
    try {
      // To the end of that second.
      const { position } = await this.counted(new Date(picked.getTime() + 999).toISOString(), asked);
      if (asked !== this.asked) return;
      if (!position) return ($("audit-position-error").textContent = "Nothing had happened at that time.");
      this.to(position);
    } catch (error) {
      if (asked === this.asked) $("audit-position-error").textContent = error.message;
    }
    if (asked === this.asked) this.busy(false);
  }

  soon() {
    const valid = ORDER_ID.test(this.order);
    $("audit-order-error").textContent = this.order && !valid ? "An order ID has the form 0190a1b2-….: 32 hexadecimal digits in five groups." : "";
    $("audit-order").setAttribute("aria-invalid", String(Boolean(this.order) && !valid));
    this.provable(valid);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(), SOON_MS);
  }

  provable(valid) {
    disable($("proof"), !valid);
    if (!valid) patch($("audit-hash"));
    if (!valid || $("proof-status").textContent === NO_ORDER) $("proof-status").textContent = valid ? "" : NO_ORDER;
  }

  async show() {
    const [at, order] = [Number($("audit-at").value), this.order];
    const valid = ORDER_ID.test(order);
    this.provable(valid);
    if (at === 0) return this.fill(el("p", { class: "quiet" }, "Nothing has happened yet."));
    if (order && !valid) return this.fill("");
    const compare = positionOf($("audit-compare").value);
    const wrong = $("audit-compare").value.trim() && compare === null ? "A position is a whole number from 1 on." : compare > Number($("audit-at").max) ? `The newest position is ${count(Number($("audit-at").max))}.` : "";
    $("audit-compare").setAttribute("aria-invalid", String(Boolean(wrong)));
    if (wrong) $("audit-position-error").textContent = wrong;
    const other = wrong ? null : compare;
    const asked = ++this.asked;
    this.busy(true);
    try {
      const content = order ? await this.stateOf(order, at, other) : await this.all(at, other, asked);
      if (asked === this.asked) this.fill(content());
    } catch (error) {
      if (asked === this.asked) this.fill(el("p", { class: "error", role: "alert" }, error.message));
    }
  }

  /** While a state is read, the one before is still shown. */
  busy(reading) {
    $("audit-state").ariaBusy = String(reading);
    if (reading || $("audit-status").textContent === READING) this.message(reading ? READING : "");
  }

  fill(content) {
    this.busy(false);
    patch($("audit-state"), content);
  }

  /** The state of all orders. */
  counted(at, asked) {
    const current = () => asked === this.asked;
    return inTurn(() => api.stateAt(at), current, (error) => current() && this.message(`${error.message}. This one waits.`));
  }

  async all(at, compare, asked) {
    const state = await this.counted(at, asked);
    const other = compare && (await this.counted(compare, asked));
    return () => {
      this.state = null;
      this.message("");
      this.at(`position ${count(state.position)}${state.time ? `, ${absolute(state.time)}` : ""}`);
      return allOrders(state, other);
    };
  }

  async stateOf(order, at, compare) {
    const [state, other, proof] = await Promise.all([api.orderAt(order, at), compare && api.orderAt(order, compare), this.proof(order)]);
    const hash = proof?.events.find((event) => event.position === state.position)?.hash;
    return () => {
      this.state = state;
      this.at(`position ${count(at)}`);
      this.lastHash(proof);
      return el("div", {}, oneOrder(state, hash), other ? [el("h3", {}, "Differences"), differences([at, state], [compare, other])] : "");
    };
  }

  /** The proof, read again where the order may have gone on; null where it cannot be read. */
  proof(order) {
    return api.proof(order).catch(() => null);
  }

  lastHash(proof) {
    const last = proof?.events.at(-1);
    if (!last) return patch($("audit-hash"));
    const copy = el("button", { type: "button", id: "copy-hash", class: "plain", onclick: async ({ currentTarget: button }) => { await navigator.clipboard.writeText(last.hash); announce("The hash is copied"); button.textContent = "Copied"; } }, "Copy the last hash");
    patch($("audit-hash"), el("p", {}, `Last hash, of the event at position ${count(last.position)}:`), el("p", { class: "mono", id: "last-hash" }, last.hash), el("div", { class: "actions" }, copy));
  }

  async download() {
    const order = this.order;
    const output = $("proof-status");
    try {
      const proof = await api.proof(order);
      const url = URL.createObjectURL(new Blob([JSON.stringify(proof, null, 1)], { type: "application/json" }));
      el("a", { href: url, download: `proof-${order}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      this.lastHash(proof);
      output.textContent = `${count(proof.events.length)} events. Check it with: engine audit check-proof proof-${order}.json`;
    } catch (error) {
      output.textContent = error.message;
    }
  }
}
