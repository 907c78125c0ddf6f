// Changes the terms of an order that waits, in its panel: price and expiry.

import * as api from "./api.js";
import { $, announce, disable, el } from "./dom.js";
import { typeOf } from "./order_types.js";
import { may } from "./session.js";
import { zone } from "./times.js";

const two = (value) => String(value).padStart(2, "0");

/** A time as the input of the browser has it, in its zone, to the minute. */
function local(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export class Amend {
  constructor(orderId) {
    this.orderId = orderId;
    this.open = false;
    this.box = null; // kept while the panel is drawn again: what is typed stays
  }

  offered(order) {
    return order.status === "watching" && may("trade");
  }

  toggle(order) {
    this.open = !this.open;
    this.box = this.open ? this.make(order) : null;
  }

  form(order) {
    if (!this.offered(order)) [this.open, this.box] = [false, null];
    if (this.box) this.version = order.version;
    return this.box;
  }

  make(order) {
    const priced = typeOf(order.type).target;
    const price = priced && el("input", { id: "amend-price", inputmode: "decimal", autocomplete: "off", value: order.targetPrice });
    const expiry = el("input", { id: "amend-expiry", type: "datetime-local", value: local(order.expiresAt) });
    const error = el("p", { class: "error", id: "amend-error", role: "alert" });
    const save = el("button", { type: "submit", class: "plain", id: "amend-save" }, "Save the new terms");
    const send = async (event) => {
      event.preventDefault();
      const terms = { version: this.version };
      if (price && price.value.trim() !== order.targetPrice) terms.targetPrice = price.value.trim();
      if (expiry.value !== local(order.expiresAt)) terms.expiresAt = expiry.value ? new Date(expiry.value).getTime() : null;
      error.textContent = "";
      disable(save, true);
      try {
        if (Object.keys(terms).length > 1) await api.amend(this.orderId, terms);
        announce("The terms are changed");
        [this.open, this.box] = [false, null];
        document.querySelector("#order #amend-form")?.remove();
        $("amend")?.setAttribute("aria-expanded", "false");
      } catch (problem) {
        error.textContent = problem.code === "version-conflict" ? "The order has changed meanwhile: look at it and save again." : problem.message;
      }
      disable(save, false);
    };
    const field = (label, input) => el("div", { class: "field" }, el("label", { for: input.id }, label), input);
    return el("form", { id: "amend-form", class: "amend", novalidate: true, onsubmit: send },
      price ? field("Target price", price) : "", field(`Expires, ${zone()} (empty: never)`, expiry), error, save);
  }
}
