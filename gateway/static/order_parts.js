// The parts of the order panel: terms, timeline, quotes, transaction, raw events.

import { announce, el } from "./dom.js";
import {
  AttemptFailed, LABELS, OrderAmended, OrderArmed, OrderConfirmed, OrderParked, OrderRouted,
  OrderTriggered, TransactionBuilt, TransactionInDoubt, TransactionSubmitted,
} from "./events.js";
import { explained as reason, sentence } from "./explain.js";
import { grouped } from "./money.js";
import { count, figure } from "./numbers.js";
import { explained, quoteList, warningList } from "./quotes.js";
import { ENDED } from "./store.js";
import { ago, at, duration } from "./times.js";
import { beside } from "./usd.js";

const DETAILS = {
  [OrderRouted]: (f, o) => [`${f.dex}, `, figure(f.amountOut, o.tokenOut), ", at least ", figure(f.minAmountOut)],
  [OrderTriggered]: (f) => [`${f.cause} at ${f.dex}, price `, figure(f.price), `, slot ${count(f.slot)}`],
  [OrderConfirmed]: (f, o) => [figure(f.amountOut, o.tokenOut), " at ", figure(f.executedPrice), `, slot ${count(f.slot)}`],
  [TransactionBuilt]: (f) => `attempt ${f.attempt}, valid until height ${count(f.lastValidHeight)}`,
  [TransactionSubmitted]: (f) => `attempt ${f.attempt}`,
  [AttemptFailed]: (f) => [`${f.stage}: `, reason(f.error), f.detail ? ` ${f.detail}` : ""],
  [TransactionInDoubt]: (f) => [reason(f.reason), f.detail ? ` ${f.detail}` : ""],
  [OrderAmended]: (f) => (f.targetPrice ? ["target ", figure(f.targetPrice)] : ""),
  [OrderArmed]: (f) => `from slot ${count(f.slot)}`,
  [OrderParked]: (f) => `${f.stage ? `${f.stage}: ` : ""}${f.reason}`,
};

/** An amount with its worth in USD, where that is known. */
function valued(amount, token) {
  const worth = beside(amount, token);
  return worth ? [figure(amount, token), " ", worth] : figure(amount, token);
}

export function facts(order) {
  const [into, out, exactOut] = [order.tokenIn, order.tokenOut, order.swapMode === "exactOut"];
  const bound = exactOut ? ["At most", order.maxAmountIn && figure(order.maxAmountIn, into)] : ["At least", order.minAmountOut && figure(order.minAmountOut, out)];
  const filled = order.status === "confirmed";
  const rows = [
    ["Type", [order.type, order.timeInForce].filter(Boolean).join(" ")],
    [exactOut ? "Receive exactly" : "Spend exactly", valued(order.amount, exactOut ? out : into)], bound,
    ["Spent", filled && valued(order.amountIn, into)], ["Received", filled && valued(order.amountOut, out)],
    ["Target price", order.targetPrice && figure(order.targetPrice, `${out}/${into}`)], ["Highest price", order.maxPrice && figure(order.maxPrice, `${into}/${out}`)], ["Least received for one", order.minPrice && figure(order.minPrice, `${out}/${into}`)],
    ["Least liquidity", order.minLiquidity && figure(order.minLiquidity, into)],
    ["Executed price", order.executedPrice && figure(order.executedPrice, `${out}/${into}`)],
    ["Created", order.createdAt && ago(order.createdAt)],
    ["Expires", order.expiresAt && ago(order.expiresAt)], ["Attempts", order.attempts ? String(order.attempts) : ""],
    ["Reason", order.reason && reason(order.reason)], ["Detail", order.detail], ["Parked", order.parkedDetail ?? order.parked], ["In doubt", order.inDoubt ? "the outcome of its transaction is unknown" : ""],
    ["Client order ID", order.clientOrderId], ["Account", order.account],
  ];
  const shown = rows.filter(([, value]) => value);
  const lines = shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  return el("div", { "data-key": "facts" }, el("h3", {}, "Terms and outcome"), el("dl", { class: "facts num" }, lines), warningList(order.warnings));
}

export function timeline(order, events) {
  let before = null;
  const steps = events.map((frame) => {
    const took = before === null ? "" : ` +${duration(Date.parse(frame.timestamp) - before)}`;
    before = Date.parse(frame.timestamp);
    const detail = DETAILS[frame.event]?.(frame, order) ?? (frame.reason ? sentence(frame.reason) : "");
    return el("li", { "data-key": frame.position, class: frame.status }, el("div", { class: "line" }, LABELS[frame.event] ?? frame.event, el("span", { class: "when num" }, at(frame.timestamp), took, " ", asItWas(frame))), detail ? el("small", { title: frame.reason }, detail) : "");
  });
  const [first, last] = [events[0], events.at(-1)];
  // An open order has waited until now, not until its last event.
  const whole = !first ? "" : ENDED.has(order.status) ? ` · ${duration(Date.parse(last.timestamp) - Date.parse(first.timestamp))} in all` : [" · last step ", ago(last.timestamp)];
  return el("div", { "data-key": "timeline" }, el("h3", {}, "Timeline", whole), el("ol", { class: "steps", id: "steps" }, steps));
}

/** To the audit view: the order after this event. */
const asItWas = ({ orderId, position }) => el("a", { class: "moment", href: `#/audit/${orderId}/${position}`, title: `The order as it was here, at position ${count(position)}`, "aria-label": `As it was at position ${count(position)}` }, "as it was");

/** The newest recorded quotes; `now`: those of now, for an order that failed without any. */
export function quotesOf(order, events, now) {
  const routed = events.findLast((frame) => frame.quotes?.length);
  if (!routed) return now && el("div", { id: "order-quotes" }, el("h3", {}, "Every route now"), quoteList(now.quotes, now.best, now));
  const best = routed.quotes.find((quote) => quote.pool === routed.pool && quote.amountOut === routed.amountOut);
  return el("div", { id: "order-quotes" }, el("h3", {}, "Quotes compared"), quoteList(routed.quotes, best, order), routed.why ? el("p", { class: "hint" }, explained(routed.why, routed.quotes)) : "");
}

export function transaction(order) {
  const signature = order.txHash ?? order.signature;
  if (!signature) return null;
  const copy = el("button", { type: "button", id: "copy", class: "plain", onclick: async ({ currentTarget: button }) => { await navigator.clipboard.writeText(signature); announce("Copied"); button.textContent = "Copied"; } }, "Copy signature");
  // Only a link: the page itself sends requests to its gateway only.
  const look = order.explorerUrl && el("a", { class: "plain", id: "explorer", href: order.explorerUrl, target: "_blank", rel: "noopener noreferrer" }, "Open in the explorer");
  return el("div", { "data-key": signature }, el("h3", {}, "Transaction"), el("p", { class: "mono", id: "signature" }, signature),
    ...costs(order).map((text) => el("p", { class: "hint" }, text)), el("div", { class: "actions" }, copy, look || ""));
}

export function raw(events) {
  const list = events.map((frame) => el("div", { "data-key": frame.position }, el("p", { class: "mono quiet" }, `#${frame.position} ${frame.event} v${frame.version} · hash ${frame.hash}`), el("pre", { tabindex: "0" }, JSON.stringify(frame, null, 2))));
  return el("details", { "data-key": "raw" }, el("summary", { id: "raw-summary" }, `Raw events and hashes (${events.length})`), list);
}

// With amountIn and amountOut all that an order changed in the wallet.
function costs(order) {
  return [
    order.feeLamports && `Network fee ${grouped(String(order.feeLamports))} lamports`,
    order.rentLamports && `Rent of token accounts left open ${grouped(String(order.rentLamports))} lamports`,
    ...(order.fills?.length > 1 ? order.fills : []).map((fill) => `Swapped ${amount(fill.amountIn, fill.tokenIn)} → ${amount(fill.amountOut, fill.tokenOut)}`),
    ...(order.leftovers ?? []).map(({ token, amount }) => `Left between two swaps ${grouped(amount)} ${token}`),
  ].filter(Boolean);
}

// Null where the balances of a pool did not tell.
function amount(value, token) {
  return value === null ? `? ${token}` : `${grouped(value)} ${token}`;
}
