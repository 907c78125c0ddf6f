// The order form: fetches quotes while the user types, shows errors beside the field, and submits
// each order with its own idempotency key, so that a retry after an outage cannot place it twice.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import { fault, grouped, worth } from "./money.js";
import { explained, quoteList, warningList } from "./quotes.js";

const TYPING_MS = 180;
const AGAIN_MS = 4000;
const FIELDS = { amount: "amount", targetPrice: "target", minLiquidity: "liquidity", maxPrice: "max-price", slippageBps: "slippage" };

export class Form {
  constructor(placed) {
    this.form = $("form");
    this.placed = placed;
    this.tokens = new Map();
    this.pending = null; // { request, body, key } of an order without a response
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    $("flip").addEventListener("click", () => {
      [$("token-in").value, $("token-out").value] = [$("token-out").value, $("token-in").value];
      this.changed();
    });
    setInterval(() => document.visibilityState === "visible" && this.form.offsetParent && !this.asking && this.quote(), AGAIN_MS);
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
    const data = Object.fromEntries(new FormData(this.form));
    const exactOut = data.type === "market" && data.swapMode === "exactOut";
    return { ...data, exactOut, amount: data.amount.trim() };
  }

  changed() {
    const input = this.read();
    for (const field of this.form.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(input.type);
    for (const radio of this.form.elements.swapMode) radio.disabled = input.type !== "market";
    if (input.type !== "market") this.form.elements.swapMode.value = "exactIn";
    $("amount-label").textContent = input.exactOut ? `${input.tokenOut} to receive` : `${input.tokenIn} to spend`;
    $("target-hint").textContent = `least ${input.tokenOut} for one ${input.tokenIn}, fees included`;
    $("max-price-hint").textContent = `${input.tokenIn} for one ${input.tokenOut}`;
    $("submit").textContent = input.type === "market" ? "Place market order" : `Place ${input.type} order`;
    $("form-error").textContent = $("form-done").textContent = "";
    this.faults(input.amount ? this.amountFault(input) : {});
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.quote(), TYPING_MS);
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

  async quote() {
    this.control?.abort();
    const input = this.read();
    if (!input.amount || input.tokenIn === input.tokenOut || this.amountFault(input).amount) return this.show(null);
    const control = (this.control = this.asking = new AbortController());
    const query = { tokenIn: input.tokenIn, tokenOut: input.tokenOut, amount: input.amount, swapMode: input.exactOut ? "exactOut" : "exactIn" };
    if (input.type !== "limit" && /^\d{1,4}$/.test(input.slippageBps)) query.slippageBps = input.slippageBps;
    try {
      const answer = await api.quotes(query, control.signal);
      if (!control.signal.aborted) this.show(answer, input);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.show(null);
      $("quotes").append(el("p", { class: "quiet" }, `No quotes: ${error.message}`));
    } finally {
      if (this.asking === control) this.asking = null;
    }
  }

  show(answer, input) {
    $("outcome").replaceChildren();
    $("quotes").replaceChildren();
    if (!answer) return;
    const best = answer.best;
    if (!best) return void $("quotes").replaceChildren(el("p", { class: "quiet" }, "No pool can fill this now."), quoteList(answer.quotes, null, answer));
    const token = this.tokens.get(input.tokenOut);
    const least = input.type === "limit" && worth(input.amount, input.targetPrice.trim(), token?.decimals ?? 0);
    const terms = input.type === "limit" ? (least ? `You receive at least ${grouped(least)} ${answer.tokenOut}, or nothing. ` : "") : "";
    const outcome = input.exactOut ? `${grouped(best.amountIn)} ${answer.tokenIn}` : `${grouped(best.amountOut)} ${answer.tokenOut}`;
    const bound = best.maxAmountIn ? `at most ${grouped(best.maxAmountIn)} ${answer.tokenIn}` : `at least ${grouped(best.minAmountOut)} ${answer.tokenOut}`;
    $("outcome").replaceChildren(
      el("div", { class: "outcome" }, el("span", { class: "quiet" }, input.type !== "market" ? "Now it would bring" : input.exactOut ? "You spend" : "You receive"), el("strong", { class: "num" }, outcome)),
      el("p", { class: "hint num" }, `${terms}1 ${answer.tokenIn} = ${grouped(best.price)} ${answer.tokenOut}${input.type === "limit" ? " now" : `, ${bound}`}`));
    $("quotes").replaceChildren(warningList(best.warnings), el("h3", {}, "Every route now"), quoteList(answer.quotes, best, answer), el("p", { class: "hint" }, explained(best.why, answer.quotes)));
  }

  body(input) {
    const body = { type: input.type, tokenIn: input.tokenIn, tokenOut: input.tokenOut, amount: input.amount };
    if (input.exactOut) body.swapMode = "exactOut";
    if (input.type !== "limit" && input.slippageBps) body.slippageBps = Number(input.slippageBps);
    if (input.type === "limit") body.targetPrice = input.targetPrice.trim();
    for (const name of ["minLiquidity", "maxPrice"]) if (input.type === "sniper" && input[name].trim()) body[name] = input[name].trim();
    return body;
  }

  check(input) {
    const faults = this.amountFault(input);
    if (!input.amount) faults.amount = "How much?";
    if (input.type === "limit" && !input.targetPrice.trim()) faults.targetPrice = "A limit order needs a price";
    if (input.type !== "limit" && !/^\d{1,4}$/.test(input.slippageBps)) faults.slippageBps = "A whole number, 0 to 5000";
    return faults;
  }

  async submit() {
    const input = this.read();
    const wrong = this.check(input);
    this.faults(wrong);
    if (input.tokenIn === input.tokenOut) return void ($("form-error").textContent = "Choose two different tokens");
    if (Object.keys(wrong).length) return $(FIELDS[Object.keys(wrong)[0]]).focus();
    // The same order, retried because no response came, has the same key and the same expiry.
    const request = JSON.stringify([this.body(input), input.expiresIn]);
    if (this.pending?.request !== request) {
      const body = this.body(input);
      if (input.type !== "market" && input.expiresIn) body.expiresAt = Date.now() + Number(input.expiresIn) * 1000;
      this.pending = { request, body, key: newKey() };
    }
    $("submit").disabled = true;
    try {
      const { orderId } = await api.submit(this.pending.body, this.pending.key);
      this.pending = null;
      $("form-error").textContent = "";
      $("form-done").textContent = "Order placed.";
      this.placed(orderId);
    } catch (error) {
      this.refused(error);
    } finally {
      $("submit").disabled = false;
    }
  }

  refused(error) {
    if (error.status && error.status < 500) this.pending = null;
    const unsure = error.status === 0 || error.status >= 500;
    this.faults(Object.fromEntries(error.errors.map(({ pointer, detail }) => [pointer.slice(1), detail])));
    const again = unsure ? " Placing it again is safe: it cannot be placed twice." : "";
    $("form-error").textContent = `${error.message}.${again}`.replace("..", ".");
  }
}

/** crypto.randomUUID exists only over https and on localhost. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
