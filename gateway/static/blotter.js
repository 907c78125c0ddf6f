// The list of orders: filtered and sorted, with only the visible rows in the page.

import { $, badge, clock, el } from "./dom.js";
import { asked, grouped, units } from "./money.js";
import { ENDED } from "./store.js";

const ROW = 40;
const SPARE = 8;
const MANY = 2000;
const PAUSE_MS = 200;

// Amounts are compared as integers of their smallest unit: exact, and parsed once per order.
const decimal = (text) => units(text, 30) ?? -1n;
const COLUMNS = [
  { name: "Created", key: (order) => order.createdAt },
  { name: "Status", key: (order) => order.status },
  { name: "Type", key: (order) => order.type },
  { name: "Amount", right: true, key: (order) => decimal(order.amount) },
  { name: "Result", right: true, key: (order) => decimal(order.amountOut) },
  { name: "Price", right: true, key: (order) => decimal(priceOf(order)) },
  { name: "Venue", key: (order) => order.dex ?? "" },
];

const priceOf = (order) => order.executedPrice ?? order.targetPrice ?? order.price;

function result(order) {
  if (order.parked) return "parked";
  if (order.inDoubt) return "in doubt";
  if (order.status === "confirmed") return order.swapMode === "exactOut" ? `${grouped(order.amountIn)} ${order.tokenIn}` : `${grouped(order.amountOut)} ${order.tokenOut}`;
  return order.reason ?? order.detail ?? "";
}

export class Blotter {
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.selected = "";
    this.at = "";
    this.sort = { column: COLUMNS[0], down: true };
    this.rows = [];
    this.drawn = new Map();
    this.planned = false;
    this.arranged = -Infinity;
    this.header();
    for (const id of ["search", "status-filter", "type-filter"]) $(id).addEventListener("input", () => this.plan(true));
    $("grid").addEventListener("scroll", () => this.plan(false), { passive: true });
    $("grid").addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.plan(false)).observe($("grid"));
    store.onChange(() => this.plan(true));
    this.stale = true;
    this.plan(true);
  }

  /** Redraws at most once per animation frame; a long list is sorted a few times a second. */
  plan(stale) {
    this.stale ||= stale;
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame((now) => {
      this.planned = false;
      const wait = this.arranged + (this.rows.length > MANY ? PAUSE_MS : 0) - now;
      if (this.stale && wait <= 0) {
        this.stale = false;
        this.arranged = now;
        this.arrange();
      } else if (this.stale) {
        clearTimeout(this.later);
        this.later = setTimeout(() => this.plan(true), wait);
      }
      this.draw();
    });
  }

  header() {
    $("columns").replaceChildren(...COLUMNS.map((column) => {
      const on = this.sort.column === column;
      const button = el("button", { type: "button", onclick: () => this.by(column) }, column.name + (on ? (this.sort.down ? " ↓" : " ↑") : ""));
      return el("div", { role: "columnheader", class: column.right && "right", "aria-sort": on ? (this.sort.down ? "descending" : "ascending") : "none" }, button);
    }));
  }

  by(column) {
    this.sort = { column, down: this.sort.column === column ? !this.sort.down : true };
    const index = COLUMNS.indexOf(column);
    this.header();
    $("columns").children[index].firstChild.focus();
    this.plan(true);
  }

  arrange() {
    const words = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const [status, type] = [$("status-filter").value, $("type-filter").value];
    const passes = (order) =>
      (!status || (status === "open" ? !ENDED.has(order.status) : order.status === status)) && (!type || order.type === type) &&
      (!words.length || matches(order, words));
    const matching = [];
    for (const order of this.store.orders.values()) if (passes(order)) matching.push(order);
    const { column, down } = this.sort;
    const keyed = matching.map((order) => [column.key(order), order]);
    const ahead = down ? -1 : 1;
    keyed.sort(([x, a], [y, b]) => (x < y ? -ahead : x > y ? ahead : a.orderId < b.orderId ? 1 : -1));
    this.rows = keyed.map(([, order]) => order);
    const all = this.store.orders.size;
    const known = `${all.toLocaleString()}${this.store.partial ? " newest" : ""} orders`;
    $("count").textContent = matching.length === all ? known : `${matching.length.toLocaleString()} of ${known}`;
    $("empty").hidden = matching.length > 0;
    $("empty").textContent = all ? "No order matches. Change the search or the filters." : this.store.read ? "No orders yet. Place the first one; it appears here at once." : "Reading the orders…";
    $("grid").setAttribute("aria-rowcount", String(matching.length + 1));
    $("body").style.height = `${matching.length * ROW}px`;
  }

  draw() {
    const grid = $("grid");
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + SPARE);
    const drawn = new Map();
    for (let index = first; index < last; index += 1) {
      const order = this.rows[index];
      const before = this.drawn.get(order.orderId);
      const entry = before && before.order === order ? before : { order, row: this.row(order) };
      if (before && before !== entry) before.row.replaceWith(entry.row);
      else if (!before) $("body").append(entry.row);
      entry.row.style.top = `${index * ROW}px`;
      entry.row.setAttribute("aria-rowindex", index + 2);
      entry.row.setAttribute("aria-selected", String(order.orderId === this.selected));
      entry.row.classList.toggle("at", order.orderId === this.at);
      drawn.set(order.orderId, entry);
    }
    for (const [id, entry] of this.drawn) if (!drawn.has(id)) entry.row.remove();
    this.drawn = drawn;
    if (drawn.has(this.at)) grid.setAttribute("aria-activedescendant", `row-${this.at}`);
    else grid.removeAttribute("aria-activedescendant");
  }

  row(order) {
    const cell = (content, right) => el("div", { role: "gridcell", class: right && "right num", title: typeof content === "string" && content }, content);
    return el("div", { class: "row", role: "row", id: `row-${order.orderId}`, "data-id": order.orderId, onclick: () => this.choose(order.orderId) },
      cell(clock(order.createdAt)), cell(badge(order.status)), cell(order.type), cell(asked(order), true), cell(result(order), true),
      cell(grouped(priceOf(order) ?? ""), true), cell(order.dex ?? ""));
  }

  choose(orderId) {
    this.at = orderId;
    this.open(orderId);
  }

  select(orderId) {
    this.selected = orderId;
    this.at = orderId || this.at;
    this.plan(false);
  }

  key(event) {
    if (event.target !== $("grid")) return;
    const page = Math.max(1, Math.floor($("grid").clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && this.at) this.open(this.at);
    if (!(event.key in steps) || !this.rows.length) return;
    event.preventDefault();
    const from = this.rows.findIndex((order) => order.orderId === this.at);
    const to = Math.min(this.rows.length - 1, Math.max(0, from + steps[event.key]));
    this.at = this.rows[to].orderId;
    const [top, height] = [to * ROW, $("grid").clientHeight - ROW];
    if (top < $("grid").scrollTop) $("grid").scrollTop = top;
    if (top + ROW > $("grid").scrollTop + height) $("grid").scrollTop = top + ROW - height;
    this.plan(false);
  }
}

function matches(order, words) {
  const all = [order.orderId, order.status, order.type, order.tokenIn, order.tokenOut, order.dex, order.reason, order.clientOrderId, order.signature, order.amount].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
