// Quotes of every pool, the best first, as bars.

import { bar, el } from "./dom.js";
import { sentence, tooltip } from "./explain.js";
import { impactOf, severity } from "./guard.js";
import { behind, compare, grouped } from "./money.js";
import { figure, percent } from "./numbers.js";

const FULL = 1000000; // hundredths of a basis point in one

/** `best` is one of them, or null; `terms` has tokenIn, tokenOut and swapMode. */
export function quoteList(quotes, best, terms) {
  const exactOut = terms.swapMode === "exactOut";
  const value = (quote) => (exactOut ? quote.amountIn : quote.amountOut);
  const usable = quotes.filter((quote) => value(quote) && !quote.error);
  const refused = quotes.filter((quote) => quote.error);
  usable.sort((a, b) => (same(a, best) ? -1 : same(b, best) ? 1 : exactOut ? compare(value(a), value(b)) : compare(value(b), value(a))));
  const first = usable[0] && value(usable[0]);
  // A bar begins at zero: half as good is half as long.
  const length = (late) => Math.round(exactOut ? (1000 * FULL) / (FULL + late) : 1000 * Math.max(0, 1 - late / FULL));
  const rows = usable.map((quote) => line(quote, same(quote, best), value(quote), exactOut ? terms.tokenIn : terms.tokenOut, behind(value(quote), first), length));
  const others = refused.map((quote) => el("li", { title: tooltip(quote.error) }, el("b", {}, quote.dex), ` ${sentence(quote.error)}`));
  return el("div", {}, el("div", { role: "list" }, rows), others.length ? el("ul", { class: "hint refused", "aria-label": "Not usable" }, others) : "");
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

function line(quote, won, value, unit, late, length) {
  const legs = quote.legs ?? [];
  const name = legs.length > 1 ? `${legs.length} legs` : legs[0]?.family ?? quote.dex;
  const impact = impactOf(quote);
  const path = legs.length > 1 ? legs.map((leg) => `${grouped(leg.amountIn)} ${leg.tokenIn} → ${grouped(leg.amountOut)} ${leg.tokenOut} at ${leg.family}`).join("; ") : "";
  return el("div", { "data-key": quote.pool || quote.dex, class: `quote${won ? " won" : ""}`, role: "listitem" },
    el("span", {}, el("span", { class: "name" }, name), won ? el("span", { class: "tag" }, " Best") : ""), figure(value, unit, true),
    path ? el("small", { class: "wide" }, path) : "",
    el("small", { class: "wide num" }, el("span", { class: `impact ${severity(impact)}`, title: `${quote.priceImpactBps ?? "0"} bps` }, `impact ${percent(impact)}`), won ? "" : ` · ${(late / 100).toFixed(2)} bps behind`), bar(length(late)));
}
