// The statuses of orders and what a filter can ask besides: one row each, with its test.

import { ENDED, troubleOf } from "./store.js";

export const STATUSES = ["pending", "watching", "routing", "building", "submitted", "confirmed", "failed", "expired", "cancelled"];

/** What spans statuses, with its parameter of the API. */
export const FLAGS = { open: "open", parked: "parked", "in doubt": "inDoubt" };

const TESTS = {
  open: (order) => !ENDED.has(order.status),
  parked: (order) => troubleOf(order) === "parked",
  "in doubt": (order) => troubleOf(order) === "in doubt",
};
const TABS = { all: () => true, open: TESTS.open, history: (order) => ENDED.has(order.status) };

/** Whether an order has one of these; all do where none is chosen. */
export function hasStatus(order, chosen) {
  return !chosen.length || chosen.some((name) => (TESTS[name] ? TESTS[name](order) : order.status === name));
}

export const inTab = (order, tab) => TABS[tab](order);

/** The start of a day in the zone of the browser, in ms; 0 without one. */
export function startOf(text, days = 0) {
  if (!text) return 0;
  const [year, month, day] = text.split("-").map(Number);
  return new Date(year, month - 1, day + days).getTime();
}
