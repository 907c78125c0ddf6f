// The state at a position, of one order or of all, and the differences between two positions.

import { badge, el } from "./dom.js";
import { asked, grouped } from "./money.js";
import { count } from "./numbers.js";
import { absolute } from "./times.js";

const table = (head, rows, caption) => el("table", { class: "compact" }, caption && el("caption", { class: "quiet" }, caption),
  el("thead", {}, el("tr", {}, head.map(([name, number]) => el("th", { scope: "col", class: number && "n" }, name)))), el("tbody", {}, rows));
const cell = (value) => el("td", { class: "n" }, value);

/** The number of orders by status; with `other`, the state at another position, also the change. */
export function allOrders(state, other) {
  const caption = `${count(state.orders)} orders`;
  if (!other) return table([["Status"], ["Orders", true]], Object.entries(state.statuses).map(([status, many]) => el("tr", {}, el("th", { scope: "row" }, badge(status)), cell(count(many)))), caption);
  const [before, after] = state.position <= other.position ? [state, other] : [other, state];
  const statuses = [...new Set([...Object.keys(before.statuses), ...Object.keys(after.statuses)])];
  const rows = statuses.map((status) => {
    const [from, to] = [before.statuses[status] ?? 0, after.statuses[status] ?? 0];
    return el("tr", { class: from !== to && "changed" }, el("th", { scope: "row" }, badge(status)), cell(count(from)), cell(count(to)), cell(from === to ? "" : signed(to - from)));
  });
  return table([["Status"], [`At ${count(before.position)}`, true], [`At ${count(after.position)}`, true], ["Change", true]], rows, `${count(before.orders)} orders, then ${count(after.orders)}`);
}

const signed = (value) => (value < 0 ? `−${count(-value)}` : `+${count(value)}`);

/** One order as it was. `hash`: that of the event which made it so, or empty. */
export function oneOrder({ position, following, order }, hash = "") {
  if (!order) return el("p", { class: "quiet" }, following ? `The order did not exist yet: its first event is at position ${count(following)}.` : "The order did not exist yet.");
  const bound = order.swapMode === "exactOut" ? ["At most", order.maxAmountIn ? `${grouped(order.maxAmountIn)} ${order.tokenIn}` : "–"] : ["At least", order.minAmountOut ? `${grouped(order.minAmountOut)} ${order.tokenOut}` : "–"];
  const facts = [["Status", badge(order.status)], ["By the event at", count(position)], ["The next one at", following ? count(following) : "none"], ["Version", String(order.version)],
    ["Swap", asked(order)], ["Route", order.dex ?? "–"], bound, ["Signature", order.signature ?? "–"], ["Updated", absolute(order.updatedAt)], ["Hash", hash ? el("span", { class: "mono" }, hash) : "–"]];
  return el("dl", { class: "facts left num" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** What differs in an order between two positions. */
export function differences(a, b) {
  const [before, after] = a[0] <= b[0] ? [a, b] : [b, a];
  const [from, to] = [before[1].order ?? {}, after[1].order ?? {}];
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].filter((name) => text(from[name]) !== text(to[name]));
  const head = `Between position ${count(before[0])} and ${count(after[0])}`;
  if (!names.length) return el("p", { class: "quiet", id: "audit-same" }, `${head} the order did not change.`);
  return table([["Field"], [`At ${count(before[0])}`], [`At ${count(after[0])}`]], names.map((name) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "value" }, text(from[name])), el("td", { class: "value" }, text(to[name])))), `${head}: ${names.length === 1 ? "1 field" : `${names.length} fields`} changed`);
}

const text = (value) => (value === null || value === undefined || value === "" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
