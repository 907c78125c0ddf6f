// What amounts are worth in USD, by the engine's own quotes for USDC: nothing where it has none.
// Only tokens that are shown are asked for, and only while the page is.

import * as api from "./api.js";
import { el } from "./dom.js";
import { compare, grouped, units, worth } from "./money.js";

const DOLLAR = "USDC";
const LOT = "100"; // USDC whose worth of a token is priced: small enough to move no pool
const EVERY_MS = 10000;
const STALE_MS = 15000;
const TOKENS = 12; // asked for at once
const CENTS = 2;

const prices = new Map(); // symbol -> {price, at, lot}; price "" where no route leads to USDC
const shown = new Map(); // symbol -> when it was last shown
const asked = new Map(); // symbol -> when it was last asked for
const listeners = new Set();
let known = new Set();
let timer = 0;
let gone = ""; // the symbols whose price is too old to be shown

/** The symbols that can be traded. */
export function setTokens(symbols) {
  known = new Set(symbols);
}

export const onPrices = (listener) => listeners.add(listener);

/** USDC for one token; empty where it is not known now. */
export function priceOf(symbol) {
  if (symbol === DOLLAR) return "1";
  if (!known.has(DOLLAR) || !known.has(symbol)) return "";
  shown.set(symbol, Date.now());
  const seen = prices.get(symbol);
  if (!timer) timer = setTimeout(ask, 50);
  return seen && Date.now() - seen.at < STALE_MS ? seen.price : "";
}

/** "$1 234.56"; "under $0.01" for less; empty where the worth is not known. */
export function dollars(amount, symbol) {
  const value = worth(amount, priceOf(symbol), CENTS);
  return value === "" ? "" : written(value, amount);
}

function written(value, amount) {
  if (compare(value, "0") === 0) return units(amount, 30) ? "under $0.01" : "$0.00";
  const [whole, part = ""] = value.split(".");
  return `$${grouped(whole)}.${part.padEnd(CENTS, "0")}`;
}

const NOW = "Worth now, by the engine's quote for USDC";
const THEN = "Worth at execution: the USDC that were traded";

/** The worth beside an amount, as a small element; empty where it is not known. */
export function beside(amount, symbol) {
  if (!amount || symbol === DOLLAR) return "";
  const text = dollars(amount, symbol);
  return text && el("small", { class: "usd num", title: NOW }, `≈ ${text}`);
}

/** The worth of an order: of what was traded where USDC was, else of its amount now. */
export function ofOrder(order) {
  const filled = order.status === "confirmed";
  const [bought, sold] = [order.tokenOut === DOLLAR && order.amountOut, order.tokenIn === DOLLAR && order.amountIn];
  if (filled && (bought || sold)) return el("small", { class: "usd num", title: THEN }, written(worth(bought || sold, "1", CENTS), bought || sold));
  return beside(order.amount, order.swapMode === "exactOut" ? order.tokenOut : order.tokenIn);
}

function ask() {
  const now = Date.now();
  const due = [...shown].filter(([symbol, at]) => now - at < 2 * EVERY_MS && now - (asked.get(symbol) ?? 0) >= EVERY_MS);
  if (document.visibilityState === "visible") due.slice(0, TOKENS).forEach(([symbol]) => read(symbol).catch(() => {}));
  timer = setTimeout(ask, EVERY_MS / 4);
  const old = [...prices].filter(([, { at }]) => now - at >= STALE_MS).map(([symbol]) => symbol).join();
  if (old !== gone) listeners.forEach((listener) => listener());
  gone = old;
}

/** The price at which a lot of the token is sold: of one token alone it would have too few digits. */
async function read(symbol) {
  asked.set(symbol, Date.now());
  const lot = prices.get(symbol)?.lot || (await best(DOLLAR, symbol, LOT))?.amountOut;
  const sold = lot && (await best(symbol, DOLLAR, lot));
  prices.set(symbol, { price: sold?.price ?? "", at: Date.now(), lot: sold ? lot : "" });
  listeners.forEach((listener) => listener());
}

const best = async (tokenIn, tokenOut, amount) => (await api.quotes({ tokenIn, tokenOut, amount })).best;
