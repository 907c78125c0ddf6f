// Whether an order should be placed as it is: what must fail is not offered, what costs much is
// confirmed. Pure.

import { tooltip, sentence } from "./explain.js";
import { approximate } from "./money.js";

const SHOWN = 100; // bps of price impact from which on it is coloured
const CONFIRMED = 300; // bps from which on it is confirmed

/** The price impact of a quote in hundredths of a percent. */
export const impactOf = (quote) => Math.round(approximate(quote?.priceImpactBps ?? "0"));

/** How much a price impact matters: "", "warn" or "bad". */
export const severity = (bps) => (bps >= CONFIRMED ? "bad" : bps >= SHOWN ? "warn" : "");

/**
 * `answer`: of /api/quotes, null while there is none. Returns {block, confirm, code}: why the order
 * cannot be placed, and the price impact that needs a confirmation.
 */
export function guard(kind, answer) {
  if (!answer || !kind.immediate) return { block: "", confirm: 0, code: "" };
  if (!answer.best) {
    const code = answer.quotes.find((quote) => quote.error)?.error ?? "no-route";
    return { block: `It would fail: ${sentence(code)}`, confirm: 0, code: tooltip(code) };
  }
  const impact = impactOf(answer.best);
  return { block: "", confirm: impact >= CONFIRMED ? impact : 0, code: "" };
}
