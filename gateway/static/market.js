// The market view: the price of every pool over time, and its depth. All figures come from
// GET /api/quotes, with the exact amounts of the current pools.

import * as api from "./api.js";
import { $, el, svg } from "./dom.js";
import { grouped, units } from "./money.js";

const EVERY_MS = 2000;
const POINTS = 300;
const LADDER = [1, 10, 100, 1000, 10000];
const COLOURS = 7;
const SCALE = 30;

const isDirect = (quote) => (quote.legs?.length ?? 1) <= 1 && !quote.error && quote.amountOut;
// The start of an address; the pools of the simulation have names that repeat the venue.
const pool = (address) => (!address || address.includes("-") ? "" : ` ${address.slice(0, 4)}…`);
const name = (quote) => `${quote.legs?.[0]?.family ?? quote.dex}${pool(quote.pool)}`;
/** Billionths of tokenOut for one tokenIn, exact but for the last one; null without amounts. */
function billionths(quote) {
  const [out, into] = [units(quote.amountOut, SCALE), units(quote.amountIn, SCALE)];
  return out === null || !into ? null : (out * 1000000000n) / into;
}

/** The price as a float, for the chart only. */
const height = (quote) => Number(billionths(quote) ?? 0n) / 1e9;

export class MarketView {
  constructor() {
    this.series = new Map(); // pool -> {name, points: [time, price][]}
    this.latest = [];
    this.depth = [];
    this.asked = 0;
    this.form = $("market-form");
    this.form.addEventListener("change", () => this.restart());
    setInterval(() => !$("view-market").hidden && this.ask(), EVERY_MS);
  }

  fill(tokens) {
    for (const [field, first] of [["tokenIn", "SOL"], ["tokenOut", "USDC"]]) {
      this.form.elements[field].replaceChildren(...tokens.map(({ symbol }) => el("option", { value: symbol, selected: symbol === first }, symbol)));
    }
  }

  open() {
    this.draw();
    this.ask();
  }

  restart() {
    this.series.clear();
    [this.latest, this.depth] = [[], []];
    this.draw();
    this.ask();
  }

  pair() {
    return { tokenIn: this.form.elements.tokenIn.value, tokenOut: this.form.elements.tokenOut.value };
  }

  async ask() {
    const pair = this.pair();
    if (!pair.tokenIn || pair.tokenIn === pair.tokenOut) return this.message("Choose two different tokens.");
    const asked = ++this.asked;
    try {
      const ladder = await Promise.all(LADDER.map((amount) => api.quotes({ ...pair, amount: String(amount) })));
      if (asked !== this.asked) return;
      this.take(ladder);
      this.message(this.latest.length ? "" : "No pool of this pair can be used now.");
    } catch (error) {
      if (asked === this.asked) this.message(error.message);
    }
    this.draw();
  }

  take(ladder) {
    const now = Date.now();
    this.latest = ladder[0].quotes.filter(isDirect);
    for (const quote of this.latest) {
      const key = quote.pool || quote.dex;
      if (!this.series.has(key)) this.series.set(key, { name: name(quote), points: [] });
      const points = this.series.get(key).points;
      points.push([now, height(quote)]);
      if (points.length > POINTS) points.shift();
    }
    const of = (answer, key) => answer.quotes.find((quote) => (quote.pool || quote.dex) === key && (quote.legs?.length ?? 1) <= 1);
    this.depth = [...this.series].map(([key, { name: pool }]) => [pool, ladder.map((answer) => of(answer, key))]);
  }

  message(text) {
    $("market-status").textContent = text;
  }

  draw() {
    const { tokenIn, tokenOut } = this.pair();
    $("market-prices").replaceChildren(this.chart(tokenIn, tokenOut), this.legend(tokenIn, tokenOut));
    $("market-depth").replaceChildren(this.ladder(tokenIn));
  }

  chart(tokenIn, tokenOut) {
    const all = [...this.series.values()].flatMap(({ points }) => points);
    if (!all.length) return el("p", { class: "quiet" }, "…");
    const [times, prices] = [all.map(([time]) => time), all.map(([, value]) => value)];
    const [from, to] = [Math.min(...times), Math.max(...times)];
    const [low, high] = [Math.min(...prices), Math.max(...prices)];
    const x = (time) => (to === from ? 100 : ((time - from) / (to - from)) * 100);
    const y = (value) => (high === low ? 50 : 94 - ((value - low) / (high - low)) * 88);
    const lines = [...this.series.values()].map(({ points }, index) => {
      const dots = points.map(([time, value]) => `${x(time).toFixed(2)},${y(value).toFixed(2)}`);
      return svg("path", { class: `line c${index % COLOURS}`, d: `M${dots.length === 1 ? `0,${dots[0].split(",")[1]} L` : ""}${dots.join(" L")}` });
    });
    const label = `${tokenOut} for one ${tokenIn}, over ${Math.round((to - from) / 1000)} s: from ${low.toPrecision(8)} to ${high.toPrecision(8)}`;
    return el("div", {}, svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, lines), el("p", { class: "hint num" }, label));
  }

  legend(tokenIn, tokenOut) {
    const keys = [...this.series.keys()];
    const rows = this.latest.map((quote) => {
      const index = keys.indexOf(quote.pool || quote.dex);
      return el("tr", {}, el("th", { scope: "row" }, svg("svg", { class: "key", viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `swatch c${index % COLOURS}`, width: 10, height: 10, rx: 3 })), " ", name(quote)),
        el("td", { class: "n" }, grouped(quote.amountOut)), el("td", { class: "n" }, grouped(quote.fee)), el("td", { class: "n" }, quote.priceImpactBps ?? "0"));
    });
    const head = ["Pool", `${tokenOut} for one ${tokenIn}`, "Fee", "Impact, bps"].map((text, index) => el("th", { scope: "col", class: index && "n" }, text));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Prices" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
  }

  /** The price impact of larger amounts, against the price of one token: less is deeper. */
  ladder(tokenIn) {
    const cell = (quote, first) => {
      if (!quote || quote.error || !quote.amountOut || !first) return el("td", { class: "n quiet" }, quote?.error ?? "–");
      const lost = Math.max(0, (1 - height(quote) / height(first)) * 10000);
      return el("td", { class: "n", title: `${quote.amountIn} → ${quote.amountOut}` }, lost < 100 ? `${lost.toFixed(1)} bps` : `${(lost / 100).toFixed(1)} %`,
        svg("svg", { class: "bar", viewBox: "0 0 1000 5", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "track", width: 1000, height: 5 }), svg("rect", { class: "fill", width: Math.min(1000, lost), height: 5 })));
    };
    const rows = this.depth.map(([pool, quotes]) => el("tr", {}, el("th", { scope: "row" }, pool), quotes.map((quote) => cell(quote, isDirect(quotes[0] ?? {}) && quotes[0]))));
    const head = [el("th", { scope: "col" }, "Pool"), ...LADDER.map((amount) => el("th", { scope: "col", class: "n" }, `${amount.toLocaleString()} ${tokenIn}`))];
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Depth" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
  }
}
