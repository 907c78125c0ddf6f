// The depth of a pair: the price impact of each size, for every pool and for the combined route.

import * as api from "./api.js";
import { chart, ticks } from "./chart.js";
import { el } from "./dom.js";
import { units } from "./money.js";
import { count } from "./numbers.js";

export const SIZES = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000]; // of the base amount
const TABLED = [1, 10, 100, 1000, 10000];
const SCALE = 30;
const HEIGHT = 240;
export const BEST = "best route";

/** Billionths of tokenOut for one tokenIn, exact but for the last one; null without amounts. */
function billionths(quote) {
  const [out, into] = [units(quote?.amountOut, SCALE), units(quote?.amountIn, SCALE)];
  return out === null || !into ? null : (out * 1000000000n) / into;
}

/** The price as a float, for a chart only. */
export const height = (quote) => Number(billionths(quote) ?? 0n) / 1e9;

export const isDirect = (quote) => (quote.legs?.length ?? 1) <= 1 && !quote.error && quote.amountOut;
const keyOf = (quote) => quote.pool || quote.dex;
const times = (amount, factor) => String(BigInt(amount) * BigInt(factor));

/** Quotes of every size; `base` is the smallest one, whole tokens. */
export const ladder = (pair, base) => Promise.all(SIZES.map((size) => api.quotes({ ...pair, amount: times(base, size) })));

/** [{name, points: [size, bps][], quotes}] of each pool and of the best route. */
export function impacts(answers, nameOf) {
  const lines = answers[0].quotes.filter(isDirect).map((quote) => ({ name: nameOf(quote), of: (answer) => answer.quotes.find((other) => keyOf(other) === keyOf(quote) && (other.legs?.length ?? 1) <= 1) }));
  if (lines.length > 1) lines.push({ name: BEST, of: (answer) => answer.best });
  return lines.map(({ name, of }) => {
    const quotes = answers.map(of);
    const first = height(quotes[0]);
    const lost = quotes.map((quote) => (quote && !quote.error && quote.amountOut && first ? Math.max(0, (1 - height(quote) / first) * 10000) : null));
    return { name, quotes, lost };
  });
}

const written = (bps) => (bps < 100 ? `${bps.toFixed(1)} bps` : `${(bps / 100).toFixed(1)} %`);

/** The curve: sizes in powers of ten, impact in percent from zero. */
export function curve(lines, base, token, width) {
  const place = (size) => Math.log10(size);
  const drawn = lines.map(({ name, lost }) => ({ name, points: lost.map((bps, index) => [place(SIZES[index]), bps === null ? null : bps / 100]).filter(([, value]) => value !== null) }));
  const most = Math.max(0.01, ...drawn.flatMap(({ points }) => points.map(([, value]) => value)));
  const size = (value) => `${count(times(base, SIZES.reduce((a, b) => (Math.abs(place(b) - value) < Math.abs(place(a) - value) ? b : a))))} ${token}`;
  const yTicks = ticks(0, most, 5);
  const places = yTicks.length > 1 && yTicks[1] - yTicks[0] < 0.1 ? 2 : 1;
  return chart({
    width, height: HEIGHT, lines: drawn, x: [0, place(SIZES.at(-1))], y: [0, most], label: `Price impact by size, up to ${most.toFixed(2)} %`,
    xTicks: TABLED.filter((_, index) => width > 480 || index % 2 === 0).map(place), yTicks, xText: size, yText: (value) => `${value.toFixed(places)} %`,
  });
}

/** The same as figures. */
export function table(lines, base, token) {
  const cell = (bps, quote) => (bps === null ? el("td", { class: "n quiet" }, quote?.error ? "not usable" : "–") : el("td", { class: "n", title: `${quote.amountIn} → ${quote.amountOut}` }, written(bps)));
  const columns = TABLED.map((size) => SIZES.indexOf(size));
  const rows = lines.map(({ name, lost, quotes }) => el("tr", {}, el("th", { scope: "row" }, name), columns.map((index) => cell(lost[index], quotes[index]))));
  const head = [el("th", { scope: "col" }, "Pool"), ...TABLED.map((size) => el("th", { scope: "col", class: "n" }, `${count(times(base, size))} ${token}`))];
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Depth" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
}

