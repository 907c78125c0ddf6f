// The order form: fetches quotes while the user types, shows errors beside the field, and submits
// each order with its own idempotency key, so that a retry after an outage cannot place it twice.
// What a type needs stands in its row of order_types.js.

import * as api from "./api.js";
import { confirmed } from "./dialog.js";
import { $, disable, el } from "./dom.js";
import { guard, impactOf, severity } from "./guard.js";
import { chips, flipHighest, nameUnits, showHighest, showTarget } from "./limit_helper.js";
import { fault, rounded } from "./money.js";
import { figure, percent } from "./numbers.js";
import { CHECKS, REQUEST, typeOf } from "./order_types.js";
import { patch } from "./patch.js";
import { explained, quoteList, warningList } from "./quotes.js";
import { denied, onSession } from "./session.js";
import { beside, onPrices } from "./usd.js";

const TYPING_MS = 180;
const AGAIN_MS = 4000;
const STALE_MS = 10000;
const SAME = { minPrice: "maxPrice" }; // one field for both directions
const REPLACED = "replaced";
const FIELDS = { amount: "amount", targetPrice: "target", minLiquidity: "liquidity", maxPrice: "max-price", slippageBps: "slippage" };

export class Form {
  constructor(placed) {
    this.form = $("form");
    this.placed = placed;
    this.tokens = new Map();
    this.pending = null; // { request, body, key } of an order without a response
    this.answer = null; // the quotes that are shown, and the request that they are for
    this.form.addEventListener("input", (event) => {
      if (event.target === $("price-unit")) flipHighest();
      this.changed();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    $("flip").addEventListener("click", () => {
      [$("token-in").value, $("token-out").value] = [$("token-out").value, $("token-in").value];
      this.changed();
    });
    chips(() => this.changed());
    onSession(() => this.offer());
    onPrices(() => this.worth());
    setInterval(() => document.visibilityState === "visible" && this.form.offsetParent && !this.asking && this.quote(), AGAIN_MS);
    setInterval(() => this.age(), 1000);
    this.changed();
  }

  fill(tokens) {
    this.tokens = new Map(tokens.map((token) => [token.symbol, token]));
    const options = () => tokens.map((token) => el("option", { value: token.symbol }, token.symbol));
    const [into, out] = [$("token-in").value || tokens[0]?.symbol, $("token-out").value || tokens[1]?.symbol];
    $("token-in").replaceChildren(...options());
    $("token-out").replaceChildren(...options());
    [$("token-in").value, $("token-out").value] = [into, out];
    this.changed();
  }

  read() {
    const data = Object.fromEntries(Array.from(new FormData(this.form), ([name, value]) => [name, value.trim()]));
    const kind = typeOf(data.type);
    return { ...data, kind, exactOut: kind.exactOut && data.swapMode === "exactOut" };
  }

  changed() {
    const input = this.read();
    for (const field of this.form.querySelectorAll("[data-field]")) field.hidden = !input.kind.fields.includes(field.dataset.field);
    $("modes").hidden = !input.kind.exactOut;
    $("amount-label").textContent = input.exactOut ? `${input.tokenOut ?? ""} to receive` : `${input.tokenIn ?? ""} to spend`;
    $("target-hint").textContent = input.tokenIn ? `least ${input.tokenOut} for one ${input.tokenIn}, fees included` : "";
    nameUnits(input);
    $("form-error").textContent = $("form-done").textContent = "";
    this.faults(input.amount ? this.amountFault(input) : {});
    this.prices(input);
    this.worth(input);
    this.offer();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.quote(), TYPING_MS);
  }

  /** What the amount is worth in USD, where it is a number and its price is known. */
  worth(input = this.read()) {
    const text = input.amount && !this.amountFault(input).amount ? beside(input.amount, input.exactOut ? input.tokenOut : input.tokenIn) : "";
    patch($("amount-usd"), text);
  }

  amountFault(input) {
    const token = this.tokens.get(input.exactOut ? input.tokenOut : input.tokenIn);
    const wrong = fault(input.amount, token?.decimals ?? 18);
    return wrong ? { amount: wrong } : {};
  }

  faults(faults) {
    for (const place of this.form.querySelectorAll("[data-error]")) {
      place.textContent = faults[place.dataset.error] ?? "";
      const input = $(FIELDS[place.dataset.error] ?? "");
      if (input) input.setAttribute("aria-invalid", String(place.textContent !== ""));
    }
  }

  // -- quotes -------------------------------------------------------------------------------------

  query(input) {
    const query = { tokenIn: input.tokenIn, tokenOut: input.tokenOut, amount: input.amount, swapMode: input.exactOut ? "exactOut" : "exactIn" };
    if (input.kind.fields.includes("slippageBps") && !CHECKS.slippageBps(input)) query.slippageBps = input.slippageBps;
    return query;
  }

  /** Whether the quotes that are shown are for this input, and of now. */
  current(input) {
    return this.answer?.request === JSON.stringify(this.query(input)) && Date.now() - this.answer.at < STALE_MS ? this.answer : null;
  }

  async quote() {
    this.control?.abort();
    const input = this.read();
    if (!input.amount || !input.tokenIn || input.tokenIn === input.tokenOut || this.amountFault(input).amount) return this.show(null);
    const control = (this.control = this.asking = new AbortController());
    const query = this.query(input);
    try {
      const answer = await api.quotes(query, control.signal);
      if (control.signal.aborted) return REPLACED;
      this.answer = { ...answer, request: JSON.stringify(query), at: Date.now() };
      this.show(answer, input);
    } catch (error) {
      if (error.name === "AbortError") return REPLACED;
      if (error.status) this.show(null); // without an answer the last quotes stay, and are greyed
      $("quotes-error").textContent = `No quotes: ${error.message}`;
    } finally {
      if (this.asking === control) this.asking = null;
      this.offer();
    }
  }

  /** Greys quotes that are too old to trade by. */
  age() {
    const stale = Boolean(this.answer) && Date.now() - this.answer.at > STALE_MS;
    $("form").classList.toggle("stale", stale);
    if (stale === this.old) return;
    this.old = stale;
    this.prices(this.read()); // no target is set from an old price
  }

  show(answer, input) {
    $("quotes-error").textContent = "";
    if (!answer) this.answer = null;
    this.prices(input ?? this.read());
    const best = answer?.best;
    if (!best) patch($("outcome"));
    if (!answer) return patch($("quotes"));
    if (!best) return patch($("quotes"), el("p", { class: "quiet" }, "No pool can fill this now."), quoteList(answer.quotes, null, answer));
    const terms = input.kind.bounds(input, this.tokens.get(input.tokenOut)?.decimals ?? 0);
    const outcome = input.exactOut ? figure(best.amountIn, answer.tokenIn) : figure(best.amountOut, answer.tokenOut);
    const bound = best.maxAmountIn ? [", at most ", figure(best.maxAmountIn, answer.tokenIn)] : [", at least ", figure(best.minAmountOut, answer.tokenOut)];
    const impact = impactOf(best);
    patch($("outcome"),
      el("div", { class: "outcome" }, el("span", { class: "quiet" }, input.exactOut ? "You spend" : input.kind.outcome), el("strong", { class: "num" }, outcome, " ", input.exactOut ? beside(best.amountIn, answer.tokenIn) : beside(best.amountOut, answer.tokenOut))),
      el("p", { class: "hint num" }, terms, `1 ${answer.tokenIn} = `, figure(best.price, answer.tokenOut), input.kind.fields.includes("slippageBps") ? bound : " now"),
      el("p", { class: `hint num impact ${severity(impact)}`, id: "impact" }, `Price impact ${percent(impact)}`));
    patch($("quotes"), warningList(best.warnings), el("h3", {}, "Every route now"), quoteList(answer.quotes, best, answer), el("p", { class: "hint" }, explained(best.why, answer.quotes)));
  }

  /** Market prices beside the fields that they help with. */
  prices(input) {
    const same = this.answer && Date.now() - this.answer.at < STALE_MS && this.answer.tokenIn === input.tokenIn && this.answer.tokenOut === input.tokenOut;
    const price = (same && this.answer.best?.price) || "";
    if (input.kind.fields.includes("targetPrice")) showTarget(price, input);
    if (input.kind.fields.includes("maxPrice")) showHighest(price, input);
  }

  /** Offers the button only where the order can succeed, and says why it is not offered. */
  offer() {
    const input = this.read();
    const { block, code } = guard(input.kind, this.current(input));
    const why = denied("trade") ? "This key may not trade: it lacks the scope trade." : block;
    const text = this.sending ? "Placing…" : `Place ${input.kind.label.toLowerCase()} order`;
    if ($("submit").textContent !== text) $("submit").textContent = text;
    disable($("submit"), Boolean(why) || Boolean(this.sending));
    if ($("submit-why").textContent !== why) $("submit-why").textContent = why;
    $("submit-why").title = code;
  }

  // -- placing ------------------------------------------------------------------------------------

  body(input) {
    const body = { type: input.type, tokenIn: input.tokenIn, tokenOut: input.tokenOut, amount: input.amount };
    if (input.exactOut) body.swapMode = "exactOut";
    for (const field of input.kind.fields) {
      const [name, value] = REQUEST[field](input);
      if (value || value === 0) body[name] = value;
    }
    return body;
  }

  check(input) {
    const faults = this.amountFault(input);
    if (!input.amount) faults.amount = "How much?";
    for (const [field, text] of Object.entries(input.kind.required ?? {})) if (!input[field]) faults[field] = text;
    for (const field of input.kind.fields) if (CHECKS[field]?.(input)) faults[field] = CHECKS[field](input);
    return faults;
  }

  async submit() {
    const input = this.read();
    const wrong = this.check(input);
    this.faults(wrong);
    if (input.tokenIn === input.tokenOut) return void ($("form-error").textContent = "Choose two different tokens");
    if (Object.keys(wrong).length) return $(FIELDS[Object.keys(wrong)[0]]).focus();
    if (this.sending) return;
    this.sending = true;
    this.offer();
    try {
      clearTimeout(this.timer);
      // The user was faster than the quotes. A request that another one replaced tells nothing.
      while (input.kind.immediate && !this.current(input) && (await this.quote()) === REPLACED);
      if (await this.accepted(input)) await this.send(input);
    } finally {
      this.sending = false;
      this.offer();
    }
  }

  /** Whether the user may and wants to place it at this price impact. */
  async accepted(input) {
    const { block, confirm } = guard(input.kind, this.current(input));
    if (block) return false;
    if (input.kind.immediate && !this.current(input)) return (await confirmed({ title: "No quote now", text: `What it brings and its price impact are not known. ${$("quotes-error").textContent}`, action: "Place it anyway", danger: true })) !== null;
    if (!confirm) return true;
    const { best, tokenIn, tokenOut } = this.answer;
    const [spent, received] = [`${rounded(best.amountIn, 6)} ${tokenIn}`, `${rounded(best.amountOut, 6)} ${tokenOut}`];
    return (await confirmed({ title: `Price impact ${percent(confirm)}`, text: `You spend ${spent} and receive ${received}. A smaller amount, or several orders over time, cost less.`, action: "Place it anyway", danger: true })) !== null;
  }

  async send(input) {
    // The same order, retried because no response came, has the same key and the same expiry.
    const request = JSON.stringify(input);
    if (this.pending?.request !== request) this.pending = { request, body: this.body(input), key: newKey() };
    try {
      const { orderId } = await api.submit(this.pending.body, this.pending.key);
      this.pending = null;
      $("form-error").textContent = "";
      $("form-done").textContent = "Order placed.";
      this.placed(orderId);
    } catch (error) {
      this.refused(error);
    }
  }

  refused(error) {
    if (JUDGED.has(error.status)) this.pending = null;
    const unsure = error.status === 0 || error.status >= 500;
    this.faults(Object.fromEntries(error.errors.map(({ pointer, detail }) => [SAME[pointer.slice(1)] ?? pointer.slice(1), detail])));
    const again = unsure ? " Placing it again is safe: it cannot be placed twice." : "";
    $("form-error").textContent = `${error.message}.${again}`.replace("..", ".");
  }
}

/** Answers that speak about the order itself. After any other one the key stays: an order of an attempt before may exist. */
const JUDGED = new Set([400, 404, 409, 413, 415, 422]);

/** crypto.randomUUID exists only over https and on localhost. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
