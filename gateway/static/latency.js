// Latency of each stage and of whole orders, from the timestamps of the newest events. What an order
// waited for its turn, a permit, or the end of a backoff stands apart from what the router took.

import {
  OrderArmed, OrderConfirmed, OrderRouted, OrderSubmitted, RoutingStarted, TransactionBuilt,
  TransactionSubmitted,
} from "./events.js";

const KEPT = 2000;
const OPEN = 20000;
const QUEUE = "wait before the router";
const BY = { [RoutingStarted]: QUEUE, [OrderRouted]: "router", [TransactionBuilt]: "builder", [TransactionSubmitted]: "submitter", [OrderConfirmed]: "confirmer", [OrderArmed]: "watcher" };
export const WHOLE = "POST to confirmed";

/** ms since the epoch, with the µs that Date.parse drops. */
export const time = (iso) => Date.parse(iso) + Number(iso.slice(23, 26)) / 1000;

export class Latency {
  constructor() {
    this.spans = new Map(); // stage -> the newest durations, ms
    this.orders = new Map(); // id -> [first, last] time of its events
  }

  take(frame) {
    const now = time(frame.timestamp);
    const seen = this.orders.get(frame.orderId);
    if (frame.event === OrderSubmitted) this.orders.set(frame.orderId, [now, now]);
    else if (seen) {
      if (BY[frame.event]) this.add(BY[frame.event], now - seen[1]);
      if (frame.event === OrderConfirmed) this.add(WHOLE, now - seen[0]);
      seen[1] = now;
      if (["confirmed", "failed", "expired", "cancelled"].includes(frame.status)) this.orders.delete(frame.orderId);
    }
    if (this.orders.size > OPEN) this.orders.delete(this.orders.keys().next().value);
  }

  add(stage, ms) {
    if (!this.spans.has(stage)) this.spans.set(stage, []);
    const spans = this.spans.get(stage);
    spans.push(Math.max(0, ms));
    if (spans.length > KEPT) spans.splice(0, spans.length - KEPT);
  }

  /** [stage, how many, p50, p90, p99] of each, in ms. */
  rows() {
    const order = [QUEUE, "router", "builder", "submitter", "confirmer", "watcher", WHOLE];
    return order.filter((stage) => this.spans.has(stage)).map((stage) => {
      const sorted = [...this.spans.get(stage)].sort((a, b) => a - b);
      const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
      return [stage, sorted.length, at(0.5), at(0.9), at(0.99)];
    });
  }
}

export const shown = (ms) => (ms < 10 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
