// Error rates: orders by their outcome from the feed, requests from the counters of the gateway.

import { AttemptFailed } from "./events.js";
import { sum } from "./metrics.js";

const WINDOW_S = 300;
const OUTCOMES = new Set(["confirmed", "failed", "expired", "cancelled"]);
const KEPT = 20000;
const STATUSES = { "http4xx": ({ code }) => code.startsWith("4"), "http5xx": ({ code }) => code.startsWith("5") };

export class Failures {
  constructor() {
    this.seen = []; // [s, outcome or "attempt", reason]
    this.counters = []; // [s, {name: value}], oldest first
  }

  take(frame) {
    const outcome = frame.event === AttemptFailed ? "attempt" : OUTCOMES.has(frame.status) ? frame.status : "";
    if (!outcome) return;
    this.seen.push([Date.parse(frame.timestamp) / 1000, outcome, frame.reason ?? frame.error ?? ""]);
    if (this.seen.length > KEPT) this.seen.splice(0, KEPT / 2);
  }

  /** Another reading of the gateway's counters. */
  read(metrics, now = Date.now() / 1000) {
    if (!metrics.size) return;
    const responses = Object.entries(STATUSES).map(([name, matches]) => [name, sum(metrics, "oee_http_responses_total", matches)]);
    const reading = { ...Object.fromEntries(responses), rpc: sum(metrics, "oee_rpc_failures_total"), appends: sum(metrics, "oee_append_failures_total"), started: sum(metrics, "process_start_time_seconds") };
    // Counters begin at 0 after a restart.
    if (this.counters.at(-1)?.[1].started !== reading.started) this.counters = [];
    this.counters = [...this.counters.filter(([at]) => at >= now - WINDOW_S), [now, reading]];
  }

  /** {confirmed, failed, expired, attempts, reasons: [[reason, count]], failedShare} of the window. */
  orders(now = Date.now() / 1000) {
    this.seen = this.seen.filter(([at]) => at >= now - WINDOW_S);
    const count = (outcome) => this.seen.filter(([, is]) => is === outcome).length;
    const reasons = new Map();
    for (const [, outcome, reason] of this.seen) if (outcome === "failed") reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    const [confirmed, failed] = [count("confirmed"), count("failed")];
    return { confirmed, failed, expired: count("expired"), attempts: count("attempt"), reasons: [...reasons].sort((a, b) => b[1] - a[1]), failedShare: confirmed + failed ? Math.round((10000 * failed) / (confirmed + failed)) : 0 };
  }

  /** How much a counter grew while the page read it, and over how many seconds; null before the second reading. */
  grown(name) {
    const [first, last] = [this.counters[0], this.counters.at(-1)];
    return first && last !== first ? { by: last[1][name] - first[1][name], seconds: last[0] - first[0] } : null;
  }
}
