// The present price of each pair that a waiting order of the list is about: asked for while the
// list is shown, for the amount of one such order, so that fees and price impact are in it.

import * as api from "./api.js";
import { apart } from "./money.js";
import { targetOf } from "./order_types.js";

const EVERY_MS = 5000;
const STALE_MS = 15000;
const PAIRS = 6;

const keyOf = (order) => `${order.tokenIn}>${order.tokenOut}`;

export class Distances {
  /** `orders`: the rows that are shown; `changed` is called with new prices. */
  constructor(orders, changed) {
    this.orders = orders;
    this.changed = changed;
    this.prices = new Map(); // pair -> [price, time]
    setInterval(() => document.visibilityState === "visible" && this.ask(), EVERY_MS);
  }

  /** How far the market must move to the target, in hundredths of a percent; null: not known. */
  of(order) {
    const [target, known] = [targetOf(order), this.prices.get(keyOf(order))];
    return target && known && Date.now() - known[1] < STALE_MS ? apart(target, known[0]) : null;
  }

  /** Asks at once for pairs that have no price yet. */
  seek() {
    const waiting = this.pairs().filter(([pair]) => !this.prices.has(pair));
    if (waiting.length && !this.seeking) this.seeking = this.ask(waiting).finally(() => (this.seeking = null));
  }

  pairs() {
    const pairs = new Map();
    for (const order of this.orders()) if (targetOf(order) && pairs.size < PAIRS && !pairs.has(keyOf(order))) pairs.set(keyOf(order), order);
    return [...pairs];
  }

  async ask(pairs = this.pairs()) {
    await Promise.all(pairs.map(async ([pair, { tokenIn, tokenOut, amount }]) => {
      const answer = await api.quotes({ tokenIn, tokenOut, amount }).catch(() => null);
      if (answer?.best) this.prices.set(pair, [answer.best.price, Date.now()]);
    }));
    if (pairs.length) this.changed();
  }
}
