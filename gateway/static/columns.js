// The columns of the list: one row each. Those that do not fit give way, the least important first.

import { badge, el } from "./dom.js";
import { sentence, tooltip } from "./explain.js";
import { units } from "./money.js";
import { figure, percent } from "./numbers.js";
import { targetOf } from "./order_types.js";
import { may } from "./session.js";
import { ENDED, troubleOf } from "./store.js";
import { absolute, clock, relative } from "./times.js";
import { ofOrder } from "./usd.js";
import { CANCELLABLE, cancelling } from "./acts.js";

const GAP = 14;
const PADDING = 32;
export const NARROW = 560;
const NAME = "oee-columns";
const NARROW_SHOWN = ["created", "status", "amount", "result", "act"];

// Amounts are compared as integers of their smallest unit: exact, and parsed once per order.
const decimal = (text) => units(text, 30) ?? -1n;
const priceOf = (order) => order.executedPrice ?? targetOf(order) ?? order.price;
const exactOut = (order) => order.swapMode === "exactOut";
const brief = (iso) => clock(iso).replace(/(\D \d\d:\d\d):\d\d$/, "$1");

function result(order) {
  const trouble = troubleOf(order);
  if (trouble) return el("span", { class: "bad", title: order.parked ?? "" }, trouble === "parked" ? order.parkedDetail ?? order.parked : "the outcome of its transaction is unknown");
  if (order.status === "confirmed") return exactOut(order) ? figure(order.amountIn, order.tokenIn, true) : figure(order.amountOut, order.tokenOut, true);
  return order.reason ? el("span", { class: "reason", title: tooltip(order.reason) }, sentence(order.reason)) : order.detail ?? "";
}

function state(order) {
  const trouble = troubleOf(order);
  return trouble ? el("span", { class: "badge trouble", title: `while ${order.status}` }, trouble) : badge(order.status);
}

function swap(order) {
  const pair = exactOut(order) ? `${order.tokenOut} ← ${order.tokenIn}` : `${order.tokenIn} → ${order.tokenOut}`;
  const worth = ENDED.has(order.status) && order.status !== "confirmed" ? "" : ofOrder(order);
  return worth ? el("div", { class: "stacked" }, figure(order.amount, pair, true), " ", worth) : figure(order.amount, pair, true);
}

/** The price executed, aimed at or quoted; its unit is in the title. */
function price(order) {
  const shown = figure(priceOf(order), "", true);
  if (shown) shown.title = `${shown.title} ${order.tokenOut} for one ${order.tokenIn}`;
  return shown;
}

/** `rank`: the higher, the sooner it gives way; `width`: least width in px, `grow`: its share. */
export const COLUMNS = [
  { id: "select", name: "", width: 18, rank: 3, cell: (order, list) => list.box(order) },
  { id: "created", name: "Created", width: 84, rank: 1, key: (order) => order.createdAt, cell: (order) => el("time", { datetime: order.createdAt, title: `${absolute(order.createdAt)}, ${relative(order.createdAt)}` }, brief(order.createdAt)) },
  { id: "status", name: "Status", width: 88, rank: 0, key: (order) => troubleOf(order) || order.status, cell: state },
  { id: "type", name: "Type", width: 52, rank: 7, key: (order) => order.type, cell: (order) => order.type },
  { id: "amount", name: "Amount", width: 210, grow: 1, rank: 0, right: true, key: (order) => decimal(order.amount), cell: swap },
  { id: "result", name: "Result", width: 160, grow: 1.2, rank: 0, right: true, key: (order) => decimal(order.amountOut), cell: result },
  { id: "price", name: "Price", width: 112, rank: 4, right: true, key: (order) => decimal(priceOf(order)), cell: price },
  { id: "distance", name: "Distance", width: 86, rank: 6, right: true, key: (order, list) => list.distances.of(order) ?? -Infinity, cell: (order, list) => distance(list.distances.of(order)) },
  { id: "dex", name: "Venue", width: 76, rank: 8, key: (order) => order.dex ?? "", cell: (order) => order.dex ?? "" },
  { id: "client", name: "Client order ID", width: 104, rank: 2.5, off: true, key: (order) => order.clientOrderId ?? "", cell: (order) => order.clientOrderId ?? "" },
  { id: "account", name: "Account", width: 80, rank: 2.5, off: true, key: (order) => order.account ?? "", cell: (order) => order.account ?? "" },
  { id: "act", name: "", width: 56, rank: 2, cell: (order, list) => act(order, list) },
];

const distance = (hundredths) => (hundredths === null ? "" : el("span", { class: "num", title: "From the price now to the target" }, percent(hundredths, true)));

function act(order, list) {
  if (!CANCELLABLE.has(order.status) || order.parked || !may("cancel")) return "";
  return el("button", { type: "button", class: "plain tight", tabindex: "-1", disabled: cancelling.has(order.orderId), "aria-label": `Cancel ${order.orderId}`, onclick: (event) => list.cancel(event, order) }, "Cancel");
}

/** The chosen ids; by default all but those that are off. */
export function chosen() {
  const stored = JSON.parse(localStorage.getItem(NAME) ?? "null");
  return new Set(stored ?? COLUMNS.filter((column) => !column.off).map((column) => column.id));
}

export const choose = (ids) => localStorage.setItem(NAME, JSON.stringify([...ids]));

/** The columns that fit into a width. */
export function fitting(width, ids) {
  if (width < NARROW) return COLUMNS.filter((column) => NARROW_SHOWN.includes(column.id));
  const shown = COLUMNS.filter((column) => ids.has(column.id) || !column.name);
  const wide = () => shown.reduce((sum, column) => sum + column.width + GAP, PADDING - GAP);
  while (wide() > width) {
    const least = shown.reduce((a, b) => (b.rank > a.rank ? b : a));
    if (least.rank === 0) break;
    shown.splice(shown.indexOf(least), 1);
  }
  return shown;
}

/** The template of a grid with these columns. */
export const template = (columns) => columns.map(({ width, grow }) => (grow ? `minmax(${width}px, ${grow}fr)` : `${width}px`)).join(" ");
