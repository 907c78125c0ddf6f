// Help with prices: the target of a limit order against the market, and a sniper's highest price in
// either direction.

import { $, disable, el } from "./dom.js";
import { apart, inverse, rounded, shifted } from "./money.js";
import { figure, percent } from "./numbers.js";
import { patch } from "./patch.js";

const CHIPS = [[-100, "−1 %"], [0, "Market"], [100, "+1 %"], [500, "+5 %"]];
const DIGITS = 6;

/** The chips set the target from the market; `changed` is called after one was pressed. */
export function chips(changed) {
  $("target-chips").replaceChildren(...CHIPS.map(([hundredths, label]) => el("button", { type: "button", class: "plain tight", disabled: true, onclick: () => {
    $("target").value = shifted($("target-chips").dataset.market, hundredths);
    changed();
  } }, label)));
}

/** Shows the market beside the target. `price`: tokenOut for one tokenIn, empty while unknown. */
export function showTarget(price, input) {
  $("target-chips").dataset.market = price;
  for (const button of $("target-chips").children) disable(button, !price);
  const distance = apart(input.targetPrice, price);
  const where = distance === null ? "" : distance <= 0 ? el("b", { class: "warn" }, ` target ${percent(distance, true)}: executes at once`) : el("b", {}, ` target ${percent(distance, true)}`);
  patch($("target-market"), price ? ["Market ", figure(price), where] : []);
}

/** The current price of a sniper's token in the unit of the field, and the other direction. */
export function showHighest(price, input) {
  const out = input.priceUnit === "out";
  const [unit, other] = [`${input.tokenOut} for one ${input.tokenIn}`, `${input.tokenIn} for one ${input.tokenOut}`];
  $("max-price-label").textContent = out ? "Least received for one" : "Highest price";
  const given = inverse(input.maxPrice);
  patch($("max-price-hint"), [given && ["= ", figure(rounded(given, DIGITS)), ` ${out ? other : unit}. `], price && ["Now ", figure(out ? price : inverse(price)), ` ${out ? unit : other}`]]);
}

/** The same price in the other direction, where the unit was changed. */
export function flipHighest() {
  const flipped = inverse($("max-price").value.trim());
  if (flipped) $("max-price").value = rounded(flipped, DIGITS);
}

/** The names of both units in the choice. */
export function nameUnits(input) {
  const [first, second] = $("price-unit").options;
  [first.textContent, second.textContent] = [`${input.tokenIn || "in"} per ${input.tokenOut || "out"}`, `${input.tokenOut || "out"} per ${input.tokenIn || "in"}`];
}
