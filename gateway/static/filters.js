// Which orders of the list are shown: tabs, filters, search, dates, and named sets of them. What is
// not loaded is read from the server, as far as its list can be filtered.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import { ENDED, troubleOf } from "./store.js";

const NAME = "oee-filters";
const INPUTS = ["search", "status-filter", "type-filter", "from", "to"];
const PAGE = 500;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const STATUSES = {
  "": () => true,
  open: (order) => !ENDED.has(order.status),
  parked: (order) => troubleOf(order) === "parked",
  "in doubt": (order) => troubleOf(order) === "in doubt",
};
const TABS = { all: () => true, open: STATUSES.open, history: (order) => ENDED.has(order.status) };

export class Filters {
  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
    this.tab = "all";
    for (const id of INPUTS) $(id).addEventListener("input", () => this.touched());
    for (const button of $("tabs").children) button.addEventListener("click", () => this.choose(button.dataset.tab));
    $("filters-save").addEventListener("click", () => this.save());
    $("filters-delete").addEventListener("click", () => this.remove());
    $("filters-saved").addEventListener("change", () => this.apply(this.saved()[$("filters-saved").value] ?? {}));
    $("older").addEventListener("click", () => this.older());
    this.list("");
  }

  touched() {
    this.cursor = undefined;
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
    this.choose(values.tab ?? "all");
  }

  // -- what passes --------------------------------------------------------------------------------

  /** A function that tells whether an order passes, for one arrangement of the list. */
  test() {
    const words = this.words();
    const [status, type] = [$("status-filter").value, $("type-filter").value];
    const [from, to] = [start($("from").value), start($("to").value, 1)];
    const inStatus = STATUSES[status] ?? ((order) => order.status === status);
    return (order) => TABS[this.tab](order) && inStatus(order) && (!type || order.type === type) &&
      (!from || Date.parse(order.createdAt) >= from) && (!to || Date.parse(order.createdAt) < to) && (!words.length || matches(order, words));
  }

  words() {
    return $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  }

  active() {
    return this.tab !== "all" || INPUTS.some((id) => $(id).value);
  }

  /** Writes the numbers of orders on the tabs. */
  count(orders) {
    let open = 0;
    for (const order of orders) if (!ENDED.has(order.status)) open += 1;
    const numbers = { all: this.store.orders.size, open, history: this.store.orders.size - open };
    for (const button of $("tabs").children) button.lastElementChild.textContent = numbers[button.dataset.tab].toLocaleString("en").replaceAll(",", "\u202f");
  }

  // -- what is not loaded -------------------------------------------------------------------------

  /** The filters as far as the list of the API has them. */
  query() {
    const query = {};
    const status = $("status-filter").value;
    if (status && !(status in STATUSES)) query.status = status;
    const [from, to] = [start($("from").value), start($("to").value, 1)];
    if (from) query.from = from;
    if (to) query.to = to;
    const words = $("search").value.trim().split(/\s+/).filter(Boolean);
    const token = words.find((word) => this.tokens?.has(word.toUpperCase()));
    if (token) query.token = token.toUpperCase();
    else if (words.length === 1) query.clientOrderId = words[0];
    return query;
  }

  /** Reads a page of older orders that the filters leave; an id is read directly. */
  async older() {
    $("older").disabled = true;
    try {
      const words = this.words();
      if (words.length === 1 && UUID.test(words[0])) this.store.load([await api.order(words[0])]);
      else {
        const { orders, nextCursor } = await api.orders(PAGE, this.cursor, this.query());
        this.cursor = nextCursor;
        this.store.load(orders);
      }
      $("older-status").textContent = this.cursor === null ? "The server has no more." : "";
    } catch (error) {
      $("older-status").textContent = error.code === "unknown-order" ? "The server has no such order." : error.message;
    }
    $("older").disabled = this.cursor === null;
  }

  /** Whether older orders are offered. */
  offer(few) {
    const offered = this.store.partial && (few || this.active());
    $("older-box").hidden = !offered;
    if (this.cursor === undefined) [$("older").disabled, $("older-status").textContent] = [false, ""];
  }

  // -- named sets ---------------------------------------------------------------------------------

  saved() {
    return JSON.parse(localStorage.getItem(NAME) ?? "{}");
  }

  save() {
    const name = $("filters-name").value.trim();
    if (!name) return $("filters-name").focus();
    const values = Object.fromEntries(INPUTS.map((id) => [id, $(id).value]));
    localStorage.setItem(NAME, JSON.stringify({ ...this.saved(), [name]: { ...values, tab: this.tab } }));
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

/** The start of a day in the zone of the browser, in ms; 0 without one. */
function start(text, days = 0) {
  if (!text) return 0;
  const [year, month, day] = text.split("-").map(Number);
  return new Date(year, month - 1, day + days).getTime();
}

function matches(order, words) {
  const all = [order.orderId, order.status, order.type, order.tokenIn, order.tokenOut, order.dex, order.reason, order.detail, order.parked, order.parkedDetail, order.clientOrderId, order.account, order.signature, order.amount].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
