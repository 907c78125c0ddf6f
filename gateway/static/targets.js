// Targets of waiting limit orders as lines of a price chart. A line is moved with the pointer or the
// arrow keys; the order is amended after a question. While a line is moved the chart is not redrawn.

import * as api from "./api.js";
import { confirmed } from "./dialog.js";
import { announce, svg } from "./dom.js";
import { approximate, apart, inverse, rounded } from "./money.js";
import { toast } from "./notify.js";
import { percent, short } from "./numbers.js";
import { targetOf } from "./order_types.js";
import { may } from "./session.js";

export const MOST = 30; // lines
const DIGITS = 6;
const HALF_PERCENT = 50; // hundredths of a percent
const STEPS = { ArrowUp: 10, ArrowDown: -10, PageUp: 100, PageDown: -100 }; // hundredths of a percent
const HANDLE = 14; // px that a line can be gripped by

/**
 * [{y, price, order, reversed}] of the orders of a pair, the nearest to `market` first. An order of
 * the opposite direction is `reversed`: its target is shown as tokenOut for one tokenIn of the chart.
 */
export function targets(orders, tokenIn, tokenOut, market) {
  const levels = [];
  for (const order of orders) {
    const reversed = order.tokenIn === tokenOut && order.tokenOut === tokenIn;
    const target = targetOf(order);
    if (!target || !(reversed || (order.tokenIn === tokenIn && order.tokenOut === tokenOut))) continue;
    const price = reversed ? inverse(target) : target;
    levels.push({ price, y: approximate(price), order, reversed });
  }
  const far = ({ y }) => Math.abs(y - market);
  return levels.sort((a, b) => far(a) - far(b) || (a.order.orderId < b.order.orderId ? -1 : 1));
}

/** "Sell 2 SOL at 153.72"; the other direction buys what the chart prices. */
export const nameOf = ({ order, reversed }, price) => `${reversed ? "Spend" : "Sell"} ${short(order.amount)} ${order.tokenIn} at ${short(price)}`;

export class Targets {
  /** `redraw` is called when a line is at rest again; `market()` is the price now, or empty. */
  constructor(redraw, market) {
    this.redraw = redraw;
    this.market = market;
    this.moving = null; // {level, price} while a line is not where its order is
    this.held = false; // whether the pointer holds a line: a redraw would move it
  }

  get busy() {
    return this.held || this.moving !== null;
  }

  /** The line of a level. `scale`: {left, right, top, bottom, y(value), value(y)}. */
  line(level, scale) {
    const movable = may("trade");
    const place = scale.y(level.y);
    const name = svg("text", { class: "tick level-name", x: scale.left + 4, y: beside(place, scale) }, nameOf(level, level.price));
    const parts = [svg("line", { class: "level", x1: scale.left, x2: scale.right, y1: 0, y2: 0 }), name];
    if (!movable) return svg("g", { transform: `translate(0 ${place})` }, parts);
    const act = (handler) => (event) => handler(event.currentTarget, event);
    const move = (group, price) => this.move(group, level, scale, price);
    return svg("g", {
      onpointermove: (event) => event.stopPropagation(), // the values under the pointer would cover the line
      onpointerenter: act((group) => group.ownerSVGElement.dispatchEvent(new Event("pointerleave"))),
      onpointerdown: act((group, event) => this.hold(group, event, scale, move)),
      onkeydown: act((group, event) => this.key(event, level, (price) => move(group, price))),
      onblur: () => setTimeout(() => this.moving?.level.order.orderId === level.order.orderId && !this.asking && this.reset(), 0),
      class: "target", transform: `translate(0 ${place})`, tabindex: "0", role: "slider", "data-order": level.order.orderId, "aria-orientation": "vertical", "aria-valuemin": scale.value(scale.bottom), "aria-valuemax": scale.value(scale.top),
      "aria-label": `Target of the limit order ${nameOf(level, level.price)}`, "aria-valuenow": level.y, "aria-valuetext": short(level.price),
    }, svg("rect", { class: "grip-area", x: scale.left, width: scale.right - scale.left, y: -HANDLE / 2, height: HANDLE }), ...parts,
    svg("rect", { class: "grip", x: scale.right - 22, width: 22, y: -7, height: 14, rx: 4 }), svg("path", { class: "grip-lines", d: `M${scale.right - 16},-2 h10 M${scale.right - 16},2 h10` }), svg("title", {}, "Drag, or use the arrow keys and Enter, to amend the target"));
  }

  /** Draws a line at a price where its order is not yet. */
  move(group, level, scale, price) {
    this.moving = { level, price };
    const y = Math.min(scale.bottom, Math.max(scale.top, scale.y(approximate(price))));
    const far = this.far(price);
    const name = group.querySelector(".level-name");
    group.classList.add("moving");
    group.setAttribute("transform", `translate(0 ${y})`);
    group.setAttribute("aria-valuenow", approximate(price));
    group.setAttribute("aria-valuetext", `${short(price)}${far}`);
    name.setAttribute("y", beside(y, scale));
    name.textContent = nameOf(level, price) + far;
  }

  /** Follows the pointer until it lets the line go. */
  hold(group, event, scale, move) {
    if (event.button !== 0) return;
    event.preventDefault();
    group.focus();
    group.setPointerCapture(event.pointerId);
    this.held = true;
    group.classList.add("held");
    const follow = ({ clientY }) => move(group, priceAt(scale, clientY - group.ownerSVGElement.getBoundingClientRect().top));
    const end = () => {
      group.removeEventListener("pointermove", follow);
      group.onpointerup = group.onlostpointercapture = null;
      group.classList.remove("held");
      this.held = false;
      if (this.moving) this.amend();
      else this.redraw();
    };
    group.addEventListener("pointermove", follow);
    group.onpointerup = group.onlostpointercapture = end;
  }

  key(event, level, move) {
    const step = STEPS[event.key];
    const used = step || (this.moving && (event.key === "Enter" || event.key === "Escape"));
    if (!used) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") return this.reset();
    if (event.key === "Enter") return void this.amend();
    const from = this.moving?.price ?? level.price;
    move(decimal((approximate(from) * (10000 + step)) / 10000));
  }

  /** ", 2.00 % above the market"; what executes at once says so. */
  far(price) {
    const hundredths = apart(price, this.market());
    return hundredths === null ? "" : `, ${percent(hundredths, true)} from the market`;
  }

  async amend() {
    const { level, price } = this.moving;
    if (price === level.price) return this.reset();
    const { order, reversed } = level;
    const target = reversed ? rounded(inverse(price), DIGITS) : price;
    const unit = `${order.tokenOut} for one ${order.tokenIn}`;
    const ahead = apart(target, reversed ? inverse(this.market()) : this.market());
    const warning = ahead !== null && ahead <= 0 ? " The market is there already: the order executes at once." : ahead !== null && ahead < HALF_PERCENT ? " The market is less than 0.5 % away." : "";
    this.asking = true;
    const yes = await confirmed({ title: "Amend the target?", text: `${short(order.amount)} ${order.tokenIn}: from ${short(order.targetPrice)} to ${short(target)} ${unit}${ahead === null ? "" : `, ${percent(ahead, true)} from the market`}.${warning}`, action: "Amend", danger: Boolean(warning) && ahead <= 0 });
    this.asking = false;
    if (yes !== null) await this.send(order, target);
    this.reset();
  }

  async send(order, targetPrice) {
    try {
      await api.amend(order.orderId, { version: order.version, targetPrice });
      toast(`The target is ${short(targetPrice)}`, "", order.orderId);
    } catch (error) {
      toast(error.code === "version-conflict" ? "The order has changed meanwhile: its target was not amended." : error.message, "bad", order.orderId);
    }
  }

  reset() {
    if (this.moving) announce("The target stays");
    this.moving = null;
    this.redraw();
  }
}

/** Where the name of a line stands: above it, at the top of the chart below it. */
const beside = (place, scale) => (place < scale.top + 14 ? 13 : -4);

/** The price at a height, also beyond the chart, as a decimal string of six digits. */
const priceAt = (scale, y) => decimal(Math.max(scale.value(y), scale.value(scale.bottom) / 10));

const decimal = (value) => rounded(value.toFixed(18), DIGITS);
