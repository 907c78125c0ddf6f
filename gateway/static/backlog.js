// What waits: by stage, reason and age; and the orders that an operator must look at.

import { badge, el } from "./dom.js";
import { explained } from "./explain.js";
import { count } from "./numbers.js";
import { typeOf } from "./order_types.js";
import { alertOf, toAlert } from "./runbook.js";
import { ENDED } from "./store.js";
import { ago, duration, span } from "./times.js";

const LISTED = 20;
const REASONS = {
  queue: "in the queue", pacing: "orders per minute", permit: "concurrency", halt: "halt", suspended: "log suspended", backoff: "backoff", node: "no node", chain: "chain", price: "price", pool: "pool", operator: "operator",
};
const STAGE_OF = { pending: "router", routing: "router", building: "builder", submitted: "confirmer", watching: "watcher" };

/** The stage at which an order stands, by its status, as the engine's table of next stages has it. */
export function stageOf(order) {
  if (order.status === "pending" && !typeOf(order.type).immediate) return "watcher";
  return order.status === "building" && order.signature ? "submitter" : STAGE_OF[order.status] ?? "";
}

/** "12 orders per minute, 3 backoff"; empty where nothing waits. */
export function why(lag) {
  if (!lag.reasons) return lag.waiting ? `${count(lag.waiting)} for their time` : "";
  return Object.entries(lag.reasons).filter(([, many]) => many).sort((a, b) => b[1] - a[1]).map(([reason, many]) => `${count(many)} ${REASONS[reason] ?? reason}`).join(", ");
}

/** The oldest wait as text; "–" where it is not known. */
export const age = (lag) => (typeof lag.seconds === "number" ? (lag.orders ? duration(1000 * lag.seconds) : "–") : lag.orders ? "unknown" : "–");

/**
 * The sentence of the pacing: how many orders wait for ORDERS_PER_MINUTE and when the next one
 * starts. `next`: that time in ms since the epoch, or null where it is not known.
 */
export function pacing(stages, next, now = Date.now()) {
  const waiting = stages?.router?.reasons?.pacing ?? 0;
  if (!waiting) return "";
  return `Pacing: ${count(waiting)} waiting${next === null ? "" : next <= now ? ", next now" : `, next in ${span(next - now)}`}`;
}

/** When the next paced order of a list starts, in ms since the epoch; null where none says. */
export function nextStart(orders) {
  const times = orders.filter((order) => order.waiting?.reason === "pacing" && order.waiting.until).map((order) => Date.parse(order.waiting.until));
  return times.length ? Math.min(...times) : null;
}

export const inDoubt = (order) => order.inDoubt && !order.parked && !ENDED.has(order.status);

/** One row a stage. `parked` and `doubt`: {loaded: orders, all: how many there are, or undefined}. */
export function stageTable(seen, parked, doubt) {
  const at = ({ loaded, all }, name) => {
    const here = loaded.filter((order) => stageOf(order) === name).length;
    return all === undefined || all <= loaded.length ? count(here) : here ? `≥ ${count(here)}` : "–";
  };
  const rows = Object.entries(seen.lag?.stages ?? {}).map(([name, lag]) => el("tr", { "data-key": name }, el("th", { scope: "row" }, name), el("td", {}, seen.reasons?.[name] ? toAlert(alertOf(seen, name), badge("degraded")) : badge("ok")),
    el("td", { class: "n" }, count(lag.orders)), el("td", { class: "n" }, age(lag)), el("td", {}, why(lag)),
    el("td", { class: "n" }, at(parked, name)), el("td", { class: "n" }, at(doubt, name))));
  if (!rows.length) return el("p", { class: "quiet" }, "Not known now.");
  const head = ["Stage", "State", "Orders", "Oldest waits", "Why", "Parked", "In doubt"].map((name) => el("th", { scope: "col", class: ["Orders", "Oldest waits", "Parked", "In doubt"].includes(name) && "n" }, name));
  return el("table", { class: "compact" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

/** The parked orders and those in doubt, the longest first, each with a link to the order. */
export function troubleTable(parked, doubt) {
  const orders = [...parked.loaded, ...doubt.loaded].sort((a, b) => (a.updatedAt < b.updatedAt ? -1 : 1));
  const beyond = Math.max(0, (parked.all ?? 0) - parked.loaded.length) + Math.max(0, (doubt.all ?? 0) - doubt.loaded.length);
  if (!orders.length && !beyond) return el("p", { class: "quiet" }, "No order is parked or in doubt.");
  const rows = orders.slice(0, LISTED).map((order) => el("tr", { "data-key": order.orderId }, el("th", { scope: "row" }, el("a", { class: "mono", href: `#/orders/${order.orderId}` }, order.orderId)),
    el("td", {}, el("span", { class: "badge failed" }, order.parked ? "parked" : "in doubt")), el("td", {}, stageOf(order)), el("td", {}, ago(order.updatedAt)), el("td", {}, order.parked ? explained(order.parked) : order.reason ? explained(order.reason) : "the outcome of its transaction is unknown")));
  const more = orders.length - Math.min(orders.length, LISTED) + beyond;
  const head = ["Order", "Needs a look", "Stage", "Since", "Why"].map((name) => el("th", { scope: "col" }, name));
  return el("div", {}, rows.length ? el("table", { class: "compact" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)) : "",
    more ? el("p", { class: "hint" }, `${count(more)} more ${more === 1 ? "is" : "are"} not listed here: `, el("code", {}, "engine parked list"), " names the parked ones.") : "");
}
