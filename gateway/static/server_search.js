// Orders that are not loaded, read from the server with the filters of its list. The server can
// combine statuses with each other, and other filters only as "and": what it cannot ask at once is
// asked in several requests.

import * as api from "./api.js";
import { $, disable } from "./dom.js";
import { ORDER_TYPES } from "./order_types.js";
import { FLAGS, startOf, STATUSES } from "./statuses.js";

const PAGE = 500;
const TYPING_MS = 400;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const READING = "Searching the server…";

/**
 * `filters`: {words, tab, statuses, type, from, to}; `tokens`: the known symbols. Returns the
 * requests, each {id} or the parameters of a list; null where the server has no such filter.
 */
export function requests({ words, tab, statuses, type, from, to }, tokens = new Set()) {
  const base = {};
  const chosen = new Set(statuses);
  for (const word of words) {
    const symbol = word.toUpperCase();
    if (UUID.test(word)) return [{ id: word }];
    if (STATUSES.includes(word)) chosen.add(word);
    else if (word in ORDER_TYPES && !base.type) base.type = word;
    else if (tokens.has(symbol) && !base.token) base.token = symbol;
    else if (!base.clientOrderId) base.clientOrderId = word;
    else return null;
  }
  if (type && base.type && base.type !== type) return [];
  if (type) base.type = type;
  if (tab !== "all") base.open = tab === "open";
  if (startOf(from)) base.from = startOf(from);
  if (startOf(to)) base.to = startOf(to, 1);
  if (!chosen.size) return [base];
  const plain = [...chosen].filter((name) => STATUSES.includes(name));
  const flagged = Object.keys(FLAGS).filter((name) => chosen.has(name) && !(name === "open" && tab === "history"));
  return [...(plain.length ? [{ ...base, status: plain.join(",") }] : []), ...flagged.map((name) => ({ ...base, [FLAGS[name]]: true }))];
}

export class ServerSearch {
  /** `filters`: () => what requests() takes; `words` keep their case. */
  constructor(store, filters) {
    this.store = store;
    this.filters = filters;
    this.tokens = new Set();
    this.reset();
    $("older").addEventListener("click", () => this.read());
  }

  /** Other filters: what was read before says nothing about them. */
  reset() {
    clearTimeout(this.timer);
    this.turn = {}; // an answer to an earlier search changes nothing
    this.waiting = null; // [request, cursor] of what has further pages; null: nothing was asked yet
    this.busy = false;
    this.status("");
  }

  /** Offers the server's orders, and searches them where a filter is set. */
  offer(few, active) {
    const offered = this.store.partial && (few || active);
    $("older-box").hidden = !offered;
    disable($("older"), this.busy || this.waiting?.length === 0);
    if (!offered || !active || this.waiting || this.busy || this.planned === this.turn) return;
    this.planned = this.turn;
    this.timer = setTimeout(() => this.read(), TYPING_MS);
  }

  async read() {
    if (this.busy) return;
    clearTimeout(this.timer);
    const turn = (this.planned = this.turn);
    const asked = this.waiting ?? requests(this.filters(), this.tokens)?.map((request) => [request, ""]);
    if (!asked) return this.status("The server searches one client order ID, ID, token, type, status and date at a time. Other words search only what is loaded.");
    this.busy = true;
    this.status(READING);
    try {
      const pages = await Promise.all(asked.map(([request, cursor]) => this.page(request, cursor)));
      if (turn !== this.turn) return;
      this.waiting = asked.map(([request], index) => [request, pages[index].nextCursor]).filter(([, cursor]) => cursor);
      this.busy = false;
      const orders = pages.flatMap((page) => page.orders);
      const named = asked[0]?.[0].clientOrderId;
      this.status(this.waiting.length ? "" : named && !orders.length ? `The server has no order with the client order ID ${named} and these filters.` : "The server has no more.");
      this.store.load(orders);
    } catch (error) {
      if (turn !== this.turn) return;
      [this.busy, this.waiting] = [false, asked];
      this.status(error.code === "unknown-order" ? "The server has no such order." : error.message);
    }
    disable($("older"), this.waiting.length === 0);
  }

  async page(request, cursor) {
    return request.id ? { orders: [await api.order(request.id)], nextCursor: null } : api.orders(PAGE, cursor, request);
  }

  status(text) {
    if ($("older-status").textContent !== text) $("older-status").textContent = text;
  }
}
