// Which orders of the list are shown: tabs, filters, search, dates, and named sets of them. What is
// not loaded is read from the server: see server_search.js.

import { $, el } from "./dom.js";
import { count } from "./numbers.js";
import { ServerSearch } from "./server_search.js";
import { FLAGS, hasStatus, inTab, startOf, STATUSES } from "./statuses.js";
import { ENDED } from "./store.js";

const NAME = "oee-filters";
const INPUTS = ["search", "type-filter", "from", "to"];
const ALL = "All statuses";

export class Filters {
  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
    this.tab = "all";
    this.statuses = [];
    this.server = new ServerSearch(store, () => this.values());
    $("status-list").replaceChildren(...[...Object.keys(FLAGS), ...STATUSES].map((name) => this.box(name)));
    $("status-clear").addEventListener("click", () => this.only([]));
    for (const id of INPUTS) $(id).addEventListener("input", () => this.touched());
    for (const button of $("tabs").children) button.addEventListener("click", () => this.choose(button.dataset.tab));
    $("filters-save").addEventListener("click", () => this.save());
    $("filters-delete").addEventListener("click", () => this.remove());
    $("filters-saved").addEventListener("change", () => this.apply(this.saved()[$("filters-saved").value] ?? {}));
    this.list("");
  }

  box(name) {
    const box = el("input", { type: "checkbox", value: name, onchange: () => this.only(box.checked ? [...this.statuses, name] : this.statuses.filter((other) => other !== name)) });
    return el("label", { class: "check" }, box, name);
  }

  /** Chooses exactly these statuses. */
  only(statuses) {
    this.statuses = statuses;
    for (const box of $("status-list").querySelectorAll("input")) box.checked = statuses.includes(box.value);
    const text = statuses.length > 2 ? `${statuses.length} statuses` : statuses.join(", ") || ALL;
    $("status-chosen").textContent = text;
    $("status-menu").classList.toggle("on", statuses.length > 0);
    this.touched();
  }

  touched() {
    this.server.reset();
    this.changed();
  }

  choose(tab) {
    this.tab = tab;
    for (const button of $("tabs").children) button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
    this.touched();
  }

  /** Sets all filters; those that are not given are cleared. */
  apply(values) {
    for (const id of INPUTS) $(id).value = values[id] ?? "";
    this.only(values.statuses ?? [values["status-filter"]].filter(Boolean)); // saved by an earlier version
    this.choose(values.tab ?? "all");
  }

  // -- what passes --------------------------------------------------------------------------------

  values() {
    const words = $("search").value.trim().split(/\s+/).filter(Boolean);
    return { words, tab: this.tab, statuses: this.statuses, type: $("type-filter").value, from: $("from").value, to: $("to").value };
  }

  /** A function that tells whether an order passes, for one arrangement of the list. */
  test() {
    const { words, tab, statuses, type, from, to } = this.values();
    const [first, end] = [startOf(from), startOf(to, 1)];
    const small = words.map((word) => word.toLowerCase());
    return (order) => inTab(order, tab) && hasStatus(order, statuses) && (!type || order.type === type) &&
      (!first || Date.parse(order.createdAt) >= first) && (!end || Date.parse(order.createdAt) < end) && (!small.length || matches(order, small));
  }

  active() {
    return this.tab !== "all" || this.statuses.length > 0 || INPUTS.some((id) => $(id).value);
  }

  /** Writes the numbers of orders on the tabs. */
  count(orders) {
    let open = 0;
    for (const order of orders) if (!ENDED.has(order.status)) open += 1;
    const numbers = { all: this.store.orders.size, open, history: this.store.orders.size - open };
    for (const button of $("tabs").children) button.lastElementChild.textContent = count(numbers[button.dataset.tab]);
  }

  /** Whether orders of the server are offered; `few`: none that is loaded passes. */
  offer(few) {
    this.server.offer(few, this.active());
  }

  // -- named sets ---------------------------------------------------------------------------------

  saved() {
    return JSON.parse(localStorage.getItem(NAME) ?? "{}");
  }

  save() {
    const name = $("filters-name").value.trim();
    if (!name) return $("filters-name").focus();
    const values = Object.fromEntries(INPUTS.map((id) => [id, $(id).value]));
    localStorage.setItem(NAME, JSON.stringify({ ...this.saved(), [name]: { ...values, statuses: this.statuses, tab: this.tab } }));
    $("filters-name").value = "";
    this.list(name);
  }

  remove() {
    const { [$("filters-saved").value]: _, ...rest } = this.saved();
    localStorage.setItem(NAME, JSON.stringify(rest));
    this.list("");
  }

  list(shown) {
    const names = Object.keys(this.saved()).sort();
    $("filters-saved").replaceChildren(el("option", { value: "" }, names.length ? "Choose…" : "None saved"), ...names.map((name) => el("option", { value: name }, name)));
    $("filters-saved").value = shown;
    $("filters-delete").disabled = !names.length;
  }
}

function matches(order, words) {
  const all = [order.orderId, order.status, order.type, order.tokenIn, order.tokenOut, order.dex, order.reason, order.detail, order.parked, order.parkedDetail, order.clientOrderId, order.account, order.signature, order.amount].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
