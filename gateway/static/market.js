// The market view: the price of every pool over time with the user's own orders in it, and its
// depth. The past comes from the gateway, which records the pairs that are looked at.

import * as api from "./api.js";
import { chart, ticks } from "./chart.js";
import { curve, height, impacts, isDirect, ladder, table } from "./depth.js";
import { $, el, svg } from "./dom.js";
import { approximate, inverse, rounded } from "./money.js";
import { count, figure, percent, short } from "./numbers.js";
import { patch } from "./patch.js";
import { impactOf, severity } from "./guard.js";
import { onSession } from "./session.js";
import { MOST, nameOf as targetName, Targets, targets } from "./targets.js";
import { clock } from "./times.js";

const EVERY_MS = 2000;
const SOON_MS = 200;
const DEPTH_MS = 10000;
const STALE_MS = 10000;
const POINTS = 2000;
const COLOURS = 7;
const DOTS = 500; // the newest executions
const HEIGHT = 280;
const NAMED = 8; // targets beyond the chart
const RANGES = { 15: 15, 60: 60, 360: 360, 1440: 1440 }; // minutes

// The start of an address; the pools of the simulation have names that repeat the venue.
const pool = (address) => (!address || address.includes("-") ? "" : ` ${address.slice(0, 4)}…`);
const familyOf = (quote) => quote.legs?.[0]?.family ?? quote.name ?? quote.dex;
const nameOf = (quote) => `${familyOf(quote)}${pool(quote.pool)}`;
const keyOf = (quote) => quote.pool || quote.dex;

export class MarketView {
  constructor(store) {
    this.store = store;
    this.form = $("market-form");
    this.form.addEventListener("change", (event) => (event.target.name === "range" ? this.draw() : this.restart()));
    this.targets = new Targets(() => this.draw(), () => (Date.now() - this.at < STALE_MS ? this.best : ""));
    this.clear();
    onSession(() => !$("view-market").hidden && this.draw());
    store.onChange(() => this.soon());
    setInterval(() => !$("view-market").hidden && document.visibilityState === "visible" && this.ask(), EVERY_MS);
    setInterval(() => this.age(), 1000);
    new ResizeObserver(() => !$("view-market").hidden && this.draw()).observe($("market-prices"));
  }

  fill(tokens) {
    for (const [field, first] of [["tokenIn", "SOL"], ["tokenOut", "USDC"]]) {
      this.form.elements[field].replaceChildren(...tokens.map(({ symbol }) => el("option", { value: symbol, selected: symbol === first }, symbol)));
    }
  }

  clear() {
    this.series = new Map(); // pool -> {name, points: [time, price][]}
    [this.latest, this.depth, this.base, this.loaded, this.deepAt, this.at] = [[], [], "1", false, 0, 0];
    this.asking = null;
    this.best = ""; // the price now
  }

  /** Draws a changed order at once, and many changes once. */
  soon() {
    if ($("view-market").hidden || this.planned) return;
    this.planned = setTimeout(() => {
      this.planned = 0;
      this.draw();
    }, SOON_MS);
  }

  open() {
    this.draw();
    this.ask();
  }

  restart() {
    this.clear();
    this.draw();
    this.ask();
  }

  pair() {
    return { tokenIn: this.form.elements.tokenIn.value, tokenOut: this.form.elements.tokenOut.value };
  }

  async ask() {
    const pair = this.pair();
    if (!pair.tokenIn || pair.tokenIn === pair.tokenOut) return this.message("Choose two different tokens.");
    if (this.asking) return;
    const asking = (this.asking = {});
    try {
      if (!this.loaded) {
        const past = await api.prices(pair);
        if (this.asking !== asking) return;
        this.past(past);
      }
      if (Date.now() - this.deepAt > DEPTH_MS) {
        const answers = await ladder(pair, this.base);
        if (this.asking !== asking) return;
        [this.depth, this.deepAt] = [impacts(answers, nameOf), Date.now()];
        this.take(answers[0]);
      } else {
        const answer = await api.quotes({ ...pair, amount: this.base });
        if (this.asking !== asking) return;
        this.take(answer);
      }
      this.message(this.latest.length ? "" : "No pool of this pair can be used now.");
    } catch (error) {
      if (this.asking === asking) this.message(error.message);
    }
    if (this.asking !== asking) return;
    this.asking = null;
    this.draw();
  }

  past({ series, amount }) {
    this.base = amount ?? "1";
    for (const pool of series) this.line(pool).points.push(...pool.points.map(({ timeMs, price }) => [timeMs, approximate(price)]));
    this.loaded = true;
  }

  line(quote) {
    const key = keyOf(quote);
    if (!this.series.has(key)) this.series.set(key, { name: nameOf(quote), points: [] });
    return this.series.get(key);
  }

  take(answer) {
    this.at = Date.now();
    this.best = answer.best?.price ?? "";
    this.latest = answer.quotes.filter(isDirect);
    for (const quote of this.latest) {
      const points = this.line(quote).points;
      points.push([this.at, height(quote)]);
      if (points.length > POINTS) points.splice(0, POINTS / 10);
    }
  }

  /** Greys prices that are too old to trade by. */
  age() {
    const old = this.at && Date.now() - this.at > STALE_MS;
    $("view-market").classList.toggle("stale", Boolean(old));
  }

  message(text) {
    $("market-status").textContent = text;
  }

  draw() {
    if (this.targets.busy) return; // a target is being moved
    const { tokenIn, tokenOut } = this.pair();
    const width = Math.max(280, $("market-prices").clientWidth);
    patch($("market-prices"), this.chart(tokenIn, tokenOut, width), this.legend(tokenIn, tokenOut));
    patch($("market-depth"), this.depth.length ? [curve(this.depth, this.base, tokenIn, width), el("details", {}, el("summary", {}, "As figures"), table(this.depth, this.base, tokenIn))] : el("p", { class: "quiet" }, "…"));
  }

  /** The user's executions of this pair, in both directions. */
  dots(tokenIn, tokenOut) {
    const dots = [];
    for (const order of this.store.orders.values()) {
      const reversed = order.tokenIn === tokenOut && order.tokenOut === tokenIn;
      if (!order.executedPrice || !(reversed || (order.tokenIn === tokenIn && order.tokenOut === tokenOut))) continue;
      const price = reversed ? inverse(order.executedPrice) : order.executedPrice;
      dots.push({ x: Date.parse(order.updatedAt), y: approximate(price), title: `${clock(order.updatedAt)} ${short(order.amountIn)} ${order.tokenIn} → ${short(order.amountOut)} ${order.tokenOut}, ${short(price)} ${tokenOut} for one ${tokenIn}` });
    }
    return dots.sort((a, b) => b.x - a.x).slice(0, DOTS);
  }

  /** Targets that are too far away for the chart, with a link to each order. */
  beyond(levels, tokenOut) {
    if (!levels.length) return "";
    return el("p", { class: "hint num", id: "targets-beyond" }, "Targets beyond the chart: ", levels.slice(0, NAMED).map((level, index) => [index ? ", " : "", el("a", { href: `#/orders/${level.order.orderId}`, title: targetName(level, level.price) }, `${short(level.price)} ${tokenOut}`)]), levels.length > NAMED ? `, and ${count(levels.length - NAMED)} farther ones` : "");
  }

  chart(tokenIn, tokenOut, width) {
    const to = Date.now();
    const from = to - RANGES[this.form.elements.range.value] * 60000;
    const lines = [...this.series.values()].map(({ name, points }) => ({ name, points: points.filter(([time]) => time >= from) }));
    const prices = lines.flatMap(({ points }) => points.map(([, value]) => value));
    if (!prices.length) return el("p", { class: "quiet" }, "…");
    const dots = this.dots(tokenIn, tokenOut);
    const all = targets(this.store.orders.values(), tokenIn, tokenOut, approximate(this.best || "0") || prices.at(-1));
    const levels = all.slice(0, MOST);
    const first = Math.min(...lines.flatMap(({ points }) => points.slice(0, 1).map(([time]) => time)), ...dots.filter(({ x }) => x >= from).map(({ x }) => x));
    const start = Math.max(from, Math.min(first, to - 60000));
    const [least, most] = [Math.min(...prices), Math.max(...prices)];
    // A target widens the scale as far as the lines stay legible.
    const near = levels.map(({ y }) => y).filter((y) => y > least * 0.9 && y < most * 1.1);
    const [low, high] = [Math.min(least, ...near), Math.max(most, ...near)];
    const edge = (high - low) * 0.06 || high * 0.001;
    const text = (value) => short(rounded(value.toFixed(12), 6));
    const label = `${tokenOut} for one ${tokenIn} from ${clock(start)} to ${clock(to)}: from ${text(least)} to ${text(most)}`;
    const steps = Math.max(2, Math.min(6, Math.floor(width / 150)));
    const xTicks = Array.from({ length: steps }, (_, index) => start + ((to - start) * (index + 0.5)) / steps);
    const box = chart({
      width, height: HEIGHT, lines, dots, levels, level: (level, scale) => this.targets.line(level, scale), x: [start, to], y: [low - edge, high + edge], label, xTicks, yTicks: ticks(low - edge, high + edge, 5),
      xText: (value, whole) => (whole || to - start < 600000 ? clock(value) : clock(value).replace(/:\d\d$/, "")), yText: text,
    });
    return el("div", {}, box, el("p", { class: "hint num" }, label), this.beyond(all.filter(({ y }, index) => index >= MOST || y < low - edge || y > high + edge), tokenOut));
  }

  legend(tokenIn, tokenOut) {
    const keys = [...this.series.keys()];
    const rows = this.latest.map((quote) => {
      const [index, impact] = [keys.indexOf(keyOf(quote)), impactOf(quote)];
      return el("tr", { "data-key": keyOf(quote) }, el("th", { scope: "row" }, svg("svg", { class: "key", viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `swatch c${index % COLOURS}`, width: 10, height: 10, rx: 3 })), " ", familyOf(quote), el("small", { class: "quiet", title: quote.pool }, pool(quote.pool))),
        el("td", { class: "n" }, figure(rounded(height(quote).toFixed(12), 6), "", true)), el("td", { class: "n fee" }, figure(quote.fee, tokenIn, true)), el("td", { class: `n impact ${severity(impact)}` }, percent(impact)));
    });
    const head = ["Pool", `${tokenOut} for one ${tokenIn}`, `Fee for ${this.base} ${tokenIn}`, "Impact"].map((text, index) => el("th", { scope: "col", class: index && (index === 2 ? "n fee" : "n") }, text));
    return el("div", { "data-key": "legend", class: "scroll", tabindex: "0", role: "region", "aria-label": "Prices" }, el("table", { class: "legend" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
  }
}
