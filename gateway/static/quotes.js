// Quotes of every pool, the best first, as bars.

import { bar, el } from "./dom.js";
import { behind, compare, grouped } from "./money.js";

/** `best` is one of them, or null; `terms` has tokenIn, tokenOut and swapMode. */
export function quoteList(quotes, best, terms) {
  const exactOut = terms.swapMode === "exactOut";
  const figure = (quote) => (exactOut ? quote.amountIn : quote.amountOut);
  const usable = quotes.filter((quote) => figure(quote) && !quote.error);
  const refused = quotes.filter((quote) => quote.error);
  usable.sort((a, b) => (same(a, best) ? -1 : same(b, best) ? 1 : exactOut ? compare(figure(a), figure(b)) : compare(figure(b), figure(a))));
  const first = usable[0] && figure(usable[0]);
  const late = usable.map((quote) => behind(figure(quote), first));
  const most = Math.max(1, ...late);
  // Pools differ by a few hundredths of a percent: a bar shows how far one is behind the best.
  const rows = usable.map((quote, index) => line(quote, same(quote, best), grouped(figure(quote)), late[index], Math.round(1000 - (850 * late[index]) / most)));
  const others = refused.length ? el("p", { class: "hint" }, `Not usable: ${refused.map((q) => `${q.dex} (${q.error})`).join(", ")}`) : "";
  return el("div", {}, el("div", { role: "list" }, rows), others);
}

const same = (a, b) => Boolean(b) && a.pool === b.pool && a.amountIn === b.amountIn && a.amountOut === b.amountOut;

/** Why a route won, with the names of pools instead of their addresses. */
export function explained(why, quotes) {
  return quotes.reduce((text, quote) => text.replaceAll(quote.pool, quote.legs?.length > 1 ? `${quote.legs.length} legs` : quote.legs?.[0]?.family ?? quote.dex), String(why ?? ""));
}

/** Warnings about the authorities over the tokens of a route. */
export function warningList(warnings) {
  if (!warnings?.length) return "";
  return el("ul", { class: "hint warnings", "aria-label": "Warnings" }, warnings.map((warning) => el("li", {}, el("b", {}, `${warning.token} ${warning.code}`), ` ${warning.text}`)));
}

function line(quote, won, figure, late, length) {
  const legs = quote.legs ?? [];
  const name = legs.length > 1 ? `${legs.length} legs` : legs[0]?.family ?? quote.dex;
  const impact = `impact ${quote.priceImpactBps ?? "0"} bps${won ? "" : ` · ${(late / 100).toFixed(2)} bps behind`}`;
  const path = legs.length > 1 ? legs.map((leg) => `${grouped(leg.amountIn)} ${leg.tokenIn} → ${grouped(leg.amountOut)} ${leg.tokenOut} at ${leg.family}`).join("; ") : "";
  return el("div", { class: `quote${won ? " won" : ""}`, role: "listitem" },
    el("span", {}, el("span", { class: "name" }, name), won ? el("span", { class: "tag" }, " Best") : ""), el("span", { class: "num" }, figure),
    path ? el("small", { class: "wide" }, path) : "", el("small", { class: "wide num" }, impact), bar(length));
}
