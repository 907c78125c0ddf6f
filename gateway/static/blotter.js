// The list of orders: filtered and sorted, with only the visible rows in the page.

import { CANCELLABLE, cancelAll, cancelAsked, cancelling, cancelMany, cancelOne, onCancelling } from "./acts.js";
import { choose, chosen, COLUMNS, fitting, NARROW, template } from "./columns.js";
import { Distances } from "./distance.js";
import { $, el } from "./dom.js";
import { Filters } from "./filters.js";
import { Hold } from "./hold.js";
import { toast } from "./notify.js";
import { count } from "./numbers.js";
import { patch } from "./patch.js";
import { may, onSession } from "./session.js";
import { onPrices } from "./usd.js";

const SPARE = 8;
const MANY = 2000;
const PAUSE_MS = 200;

export class Blotter {
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.selected = "";
    this.at = "";
    this.marked = new Set(); // ids that are to be cancelled together
    this.sort = { column: COLUMNS.find((column) => column.id === "created"), down: true };
    this.rows = [];
    this.columns = [];
    this.drawn = new Map();
    this.planned = false;
    this.arranged = -Infinity;
    this.style = 0; // changes when rows must be drawn again although their orders are the same
    this.hold = new Hold($("body"), () => this.held && this.plan(true));
    this.held = false; // whether changes of the order of the rows wait
    this.filters = new Filters(store, () => this.now());
    this.distances = new Distances(() => [...this.drawn.values()].map(({ order }) => order), () => this.restyle());
    $("grid").addEventListener("scroll", () => this.plan(false), { passive: true });
    $("grid").addEventListener("keydown", (event) => this.key(event));
    $("cancel-all").addEventListener("click", cancelAll);
    $("cancel-marked").addEventListener("click", () => this.cancelMarked());
    $("columns-list").replaceChildren(...COLUMNS.filter(({ name }) => name).map((column) => this.choice(column)));
    new ResizeObserver(() => this.fit()).observe($("grid"));
    store.onChange(() => this.plan(true));
    onSession(() => {
      this.restyle();
      this.marks();
    });
    onCancelling(() => this.restyle());
    onPrices(() => this.restyle());
    this.stale = true;
    this.fit();
    this.plan(true);
  }

  choice({ id, name }) {
    const box = el("input", { type: "checkbox", checked: chosen().has(id), onchange: () => {
      const ids = chosen();
      if (box.checked) ids.add(id);
      else ids.delete(id);
      choose(ids);
      this.fit(true);
    } });
    return el("label", { class: "check" }, box, name);
  }

  /** The user chose other orders or another order of them: nothing holds the rows. */
  now() {
    this.asked = true;
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
        this.asked = false;
      } else if (this.stale) {
        clearTimeout(this.later);
        this.later = setTimeout(() => this.plan(true), wait);
      }
      this.draw();
    });
  }

  restyle() {
    this.style += 1;
    this.plan(this.sort.column.id === "distance");
  }

  /** Chooses the columns for the width that there is. */
  fit(always) {
    const grid = $("grid");
    const columns = fitting(grid.clientWidth, chosen());
    const same = columns.length === this.columns.length && columns.every((column, index) => column === this.columns[index]);
    grid.classList.toggle("narrow", grid.clientWidth < NARROW);
    this.height = parseInt(getComputedStyle(grid).getPropertyValue("--row"), 10) || 40;
    if (!same || always) {
      this.columns = columns;
      grid.style.setProperty("--columns", template(columns));
      grid.setAttribute("aria-colcount", columns.length);
      this.header();
      this.style += 1;
    }
    this.plan(true);
  }

  header() {
    patch($("columns"), this.columns.map((column) => {
      if (column.id === "select") return el("div", { role: "columnheader", "data-column": "select" }, this.markAll());
      if (!column.name) return el("div", { role: "columnheader", "data-column": column.id }, el("span", { class: "hidden" }, "Actions"));
      const on = this.sort.column === column;
      const button = el("button", { type: "button", onclick: () => this.by(column) }, column.name + (on ? (this.sort.down ? " ↓" : " ↑") : ""));
      return el("div", { role: "columnheader", "data-column": column.id, class: column.right && "right", "aria-sort": on ? (this.sort.down ? "descending" : "ascending") : "none" }, button);
    }));
  }

  by(column) {
    this.sort = { column, down: this.sort.column === column ? !this.sort.down : true };
    this.header();
    this.now();
  }

  arrange() {
    const passes = this.filters.test();
    const matching = [];
    for (const order of this.store.orders.values()) if (passes(order)) matching.push(order);
    const { column, down } = this.sort;
    const keyed = matching.map((order) => [column.key(order, this), order]);
    const ahead = down ? -1 : 1;
    keyed.sort(([x, a], [y, b]) => (x < y ? -ahead : x > y ? ahead : a.orderId < b.orderId ? 1 : -1));
    const waiting = this.place(keyed.map(([, order]) => order));
    const all = this.store.orders.size;
    const known = `${count(all)}${this.store.partial ? " newest" : ""} orders`;
    const shown = matching.length === all ? known : `${count(matching.length)} of ${known}`;
    $("count").textContent = waiting ? `${shown}. The list stays while you point at it: ${count(waiting)} new` : shown;
    this.filters.count(this.store.orders.values());
    this.filters.offer(!matching.length);
    $("empty").hidden = matching.length > 0;
    $("empty").textContent = all ? "No order matches. Change the search or the filters." : this.store.read ? "No orders yet. Place the first one; it appears here at once." : "Reading the orders…";
    $("grid").setAttribute("aria-rowcount", String(matching.length + 1));
    for (const id of this.marked) if (!this.mayCancel(this.store.orders.get(id))) this.marked.delete(id);
    this.marks();
  }

  /** Takes rows over, or only their content while they are held; how many new ones wait then. */
  place(rows) {
    const grid = $("grid");
    if (this.hold.on && !this.asked && this.rows.length) {
      const known = new Set(this.rows.map(({ orderId }) => orderId));
      this.rows = this.rows.map((order) => this.store.orders.get(order.orderId) ?? order);
      const fresh = rows.filter(({ orderId }) => !known.has(orderId)).length;
      this.held ||= fresh > 0 || rows.length !== this.rows.length || rows.some(({ orderId }, index) => orderId !== this.rows[index].orderId);
      return fresh;
    }
    // Rows that are read, or that the keyboard is at, stay where they are when others come above them.
    const first = Math.floor(grid.scrollTop / this.height);
    const cursor = document.activeElement === grid ? this.rows.findIndex(({ orderId }) => orderId === this.at) : -1;
    const from = this.asked || this.sort.column.id !== "created" ? -1 : this.visible(cursor) ? cursor : first || -1;
    const to = from < 0 ? -1 : rows.findIndex(({ orderId }) => orderId === this.rows[from]?.orderId);
    const shift = to < 0 ? 0 : to - from;
    const moved = !this.asked && $("body").matches(":hover") && [...this.drawn.keys()].some((id) => this.rows.findIndex(({ orderId }) => orderId === id) + shift !== rows.findIndex(({ orderId }) => orderId === id));
    this.rows = rows;
    this.held = false;
    $("body").style.height = `${rows.length * this.height}px`;
    if (shift) grid.scrollTop += shift * this.height;
    if (moved) this.hold.shifted();
    return 0;
  }

  visible(index) {
    const [grid, top] = [$("grid"), index * this.height];
    return index >= 0 && top >= grid.scrollTop && top + 2 * this.height <= grid.scrollTop + grid.clientHeight;
  }

  draw() {
    const [grid, height] = [$("grid"), this.height];
    const first = Math.max(0, Math.floor(grid.scrollTop / height) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / height) + SPARE);
    const drawn = new Map();
    for (let index = first; index < last; index += 1) {
      const order = this.rows[index];
      const before = this.drawn.get(order.orderId);
      const same = before && before.order === order && before.style === this.style;
      const entry = same ? before : { order, style: this.style, row: before?.row ?? this.row(order) };
      if (before && !same) patch(before.row, this.cells(order));
      else if (!before) $("body").append(entry.row);
      entry.row.style.top = `${index * height}px`;
      entry.row.setAttribute("aria-rowindex", index + 2);
      entry.row.setAttribute("aria-selected", String(order.orderId === this.selected));
      entry.row.classList.toggle("at", order.orderId === this.at);
      drawn.set(order.orderId, entry);
    }
    for (const [id, entry] of this.drawn) if (!drawn.has(id)) entry.row.remove();
    this.drawn = drawn;
    this.distances.seek();
    if (drawn.has(this.at)) grid.setAttribute("aria-activedescendant", `row-${this.at}`);
    else grid.removeAttribute("aria-activedescendant");
  }

  cells(order) {
    return this.columns.map((column) => {
      const content = column.cell(order, this);
      return el("div", { role: "gridcell", "data-column": column.id, class: column.right && "right num", title: typeof content === "string" && content }, content);
    });
  }

  row(order) {
    return el("div", { class: "row", role: "row", id: `row-${order.orderId}`, "data-id": order.orderId, onclick: () => this.choose(order.orderId) }, this.cells(order));
  }

  // -- cancelling ---------------------------------------------------------------------------------

  mayCancel(order) {
    return Boolean(order) && CANCELLABLE.has(order.status) && !order.parked && !cancelling.has(order.orderId) && may("cancel");
  }

  box(order) {
    if (!this.mayCancel(order)) return "";
    return el("input", { type: "checkbox", tabindex: "-1", checked: this.marked.has(order.orderId), "aria-label": `Select ${order.orderId}`, onclick: (event) => this.meant(event), onchange: ({ currentTarget }) => this.mark(order.orderId, currentTarget.checked) });
  }

  markAll() {
    return el("input", { type: "checkbox", id: "mark-all", "aria-label": "Select all open orders of the list", onchange: ({ currentTarget }) => {
      const open = this.rows.filter((order) => this.mayCancel(order)).map((order) => order.orderId);
      this.marked = new Set(currentTarget.checked ? open : []);
      this.restyle();
      this.marks();
    } });
  }

  mark(orderId, on) {
    if (on) this.marked.add(orderId);
    else this.marked.delete(orderId);
    this.marks();
  }

  marks() {
    $("cancel-marked").hidden = !this.marked.size;
    $("cancel-marked").textContent = `Cancel ${count(this.marked.size)} selected…`;
    $("cancel-all").hidden = !may("cancel");
  }

  async cancelMarked() {
    if (!(await cancelMany([...this.marked]))) return;
    this.marked.clear();
    this.restyle();
    this.marks();
  }

  cancel(event, order) {
    if (this.meant(event)) cancelOne(order.orderId);
  }

  /** Whether a click in a row was meant for it: the rows have not just moved under the pointer. */
  meant(event) {
    event.stopPropagation();
    if (!this.hold.treacherous) return true;
    event.preventDefault();
    toast("The rows moved under the pointer: nothing was done. Click again.", "warn");
    return false;
  }

  /** Cancels the order at the cursor of the list, or the one that is open. */
  cancelHere() {
    const order = this.store.orders.get(this.selected || this.at);
    if (this.mayCancel(order)) cancelAsked(order.orderId);
  }

  // -- the cursor ---------------------------------------------------------------------------------

  choose(orderId) {
    this.at = orderId;
    this.open(orderId);
  }

  select(orderId) {
    this.selected = orderId;
    this.at = orderId || this.at;
    this.plan(false);
  }

  /** From the search field into the list. */
  enter() {
    $("grid").focus();
    if (!this.rows.some((order) => order.orderId === this.at)) this.move(-Infinity);
  }

  key(event) {
    if (event.target !== $("grid")) return;
    const page = Math.max(1, Math.floor($("grid").clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && this.at) this.open(this.at);
    if (event.key === " " && this.mayCancel(this.store.orders.get(this.at))) {
      this.mark(this.at, !this.marked.has(this.at));
      this.restyle();
      event.preventDefault();
    }
    if (!(event.key in steps) || !this.rows.length) return;
    event.preventDefault();
    this.move(steps[event.key]);
  }

  move(steps) {
    if (!this.rows.length) return;
    const from = this.rows.findIndex((order) => order.orderId === this.at);
    const to = Math.min(this.rows.length - 1, Math.max(0, from + steps));
    this.at = this.rows[to].orderId;
    const [row, grid] = [this.height, $("grid")];
    const [top, height] = [to * row, grid.clientHeight - row];
    if (top < grid.scrollTop) grid.scrollTop = top;
    if (top + row > grid.scrollTop + height) grid.scrollTop = top + row - height;
    this.plan(false);
  }
}
