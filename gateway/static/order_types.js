// What the console knows about each order type: one row each. The form, the list and the charts
// ask a row and never a name.

import { grouped, inverse, worth } from "./money.js";

/**
 * `fields`: inputs besides amount and pair. `exactOut`: whether the output may be exact.
 * `immediate`: whether the order fails where no route can fill it now. `bounds`: the least that an
 * order brings, as text, or empty.
 */
export const ORDER_TYPES = {
  market: {
    label: "Market", fields: ["slippageBps"], exactOut: true, immediate: true, outcome: "You receive",
    bounds: () => "",
  },
  limit: {
    label: "Limit", fields: ["targetPrice", "expiresIn"], exactOut: false, immediate: false, outcome: "Now it would bring",
    required: { targetPrice: "A limit order needs a price" },
    bounds: (input, decimals) => {
      const least = worth(input.amount, input.targetPrice, decimals);
      return least ? `You receive at least ${grouped(least)} ${input.tokenOut}, or nothing. ` : "";
    },
    target: (order) => order.targetPrice,
  },
  sniper: {
    label: "Sniper", fields: ["minLiquidity", "maxPrice", "slippageBps", "expiresIn"], exactOut: false, immediate: false, outcome: "Now it would bring",
    bounds: () => "",
  },
};

export const typeOf = (name) => ORDER_TYPES[name] ?? ORDER_TYPES.market;

/** The price at which a waiting order trades, tokenOut for one tokenIn; empty without one. */
export const targetOf = (order) => (order.status === "watching" && typeOf(order.type).target?.(order)) || "";

/** How each input becomes a field of the request: its name there and its value. */
export const REQUEST = {
  slippageBps: (input) => ["slippageBps", input.slippageBps === "" ? "" : Number(input.slippageBps)],
  targetPrice: (input) => ["targetPrice", input.targetPrice],
  minLiquidity: (input) => ["minLiquidity", input.minLiquidity],
  // The API takes both directions: at most tokenIn for one tokenOut, or at least the reverse.
  maxPrice: (input) => [input.priceUnit === "out" ? "minPrice" : "maxPrice", input.maxPrice],
  expiresIn: (input) => ["expiresAt", input.expiresIn && Date.now() + Number(input.expiresIn) * 1000],
};

/** Faults that are shown before the gateway is asked, by field. */
export const CHECKS = {
  slippageBps: (input) => (/^\d{1,4}$/.test(input.slippageBps) && Number(input.slippageBps) <= 5000 ? "" : "A whole number, 0 to 5000"),
  maxPrice: (input) => (input.priceUnit === "out" && input.maxPrice && !inverse(input.maxPrice) ? "A plain decimal number above zero" : ""),
};
