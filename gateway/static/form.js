// The order form: asks for quotes as one types, says what is wrong beside the field, and places an
// order under a key of its own, so that asking again after an outage can never place it twice.

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
    this.pending = null; // { body, key } of an order of which no answer came
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
    const said = this.read();
    for (const field of this.form.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(said.type);
    for (const radio of this.form.elements.swapMode) radio.disabled = said.type !== "market";
    if (said.type !== "market") this.form.elements.swapMode.value = "exactIn";
    $("amount-label").textContent = said.exactOut ? `${said.tokenOut} to receive` : `${said.tokenIn} to spend`;
    $("target-hint").textContent = `least ${said.tokenOut} for one ${said.tokenIn}, fees included`;
    $("max-price-hint").textContent = `${said.tokenIn} for one ${said.tokenOut}`;
    $("submit").textContent = said.type === "market" ? "Place market order" : `Place ${said.type} order`;
    $("form-error").textContent = $("form-done").textContent = "";
    this.faults(said.amount ? this.amountFault(said) : {});
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.quote(), TYPING_MS);
  }

  amountFault(said) {
    const token = this.tokens.get(said.exactOut ? said.tokenOut : said.tokenIn);
    const wrong = fault(said.amount, token?.decimals ?? 18);
    return wrong ? { amount: wrong } : {};
  }

  faults(found) {
    for (const place of this.form.querySelectorAll("[data-error]")) {
      place.textContent = found[place.dataset.error] ?? "";
      const input = $(FIELDS[place.dataset.error] ?? "");
      if (input) input.setAttribute("aria-invalid", String(place.textContent !== ""));
    }
  }

  async quote() {
    this.control?.abort();
    const said = this.read();
    if (!said.amount || said.tokenIn === said.tokenOut || this.amountFault(said).amount) return this.show(null);
    const control = (this.control = this.asking = new AbortController());
    const wanted = { tokenIn: said.tokenIn, tokenOut: said.tokenOut, amount: said.amount, swapMode: said.exactOut ? "exactOut" : "exactIn" };
    if (said.type !== "limit" && /^\d{1,4}$/.test(said.slippageBps)) wanted.slippageBps = said.slippageBps;
    try {
      const found = await api.quotes(wanted, control.signal);
      if (!control.signal.aborted) this.show(found, said);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.show(null);
      $("quotes").append(el("p", { class: "quiet" }, `No quotes: ${error.message}`));
    } finally {
      if (this.asking === control) this.asking = null;
    }
  }

  show(found, said) {
    $("outcome").replaceChildren();
    $("quotes").replaceChildren();
    if (!found) return;
    const best = found.best;
    if (!best) return void $("quotes").replaceChildren(el("p", { class: "quiet" }, "No pool can fill this now."), quoteList(found.quotes, null, found));
    const token = this.tokens.get(said.tokenOut);
    const least = said.type === "limit" && worth(said.amount, said.targetPrice.trim(), token?.decimals ?? 0);
    const terms = said.type === "limit" ? (least ? `You receive at least ${grouped(least)} ${found.tokenOut}, or nothing. ` : "") : "";
    const outcome = said.exactOut ? `${grouped(best.amountIn)} ${found.tokenIn}` : `${grouped(best.amountOut)} ${found.tokenOut}`;
    const bound = best.maxAmountIn ? `at most ${grouped(best.maxAmountIn)} ${found.tokenIn}` : `at least ${grouped(best.minAmountOut)} ${found.tokenOut}`;
    $("outcome").replaceChildren(
      el("div", { class: "outcome" }, el("span", { class: "quiet" }, said.type !== "market" ? "Now it would bring" : said.exactOut ? "You spend" : "You receive"), el("strong", { class: "num" }, outcome)),
      el("p", { class: "hint num" }, `${terms}1 ${found.tokenIn} = ${grouped(best.price)} ${found.tokenOut}${said.type === "limit" ? " now" : `, ${bound}`}`));
    $("quotes").replaceChildren(warningList(best.warnings), el("h3", {}, "Every route now"), quoteList(found.quotes, best, found), el("p", { class: "hint" }, explained(best.why, found.quotes)));
  }

  body(said) {
    const body = { type: said.type, tokenIn: said.tokenIn, tokenOut: said.tokenOut, amount: said.amount };
    if (said.exactOut) body.swapMode = "exactOut";
    if (said.type !== "limit" && said.slippageBps) body.slippageBps = Number(said.slippageBps);
    if (said.type === "limit") body.targetPrice = said.targetPrice.trim();
    for (const name of ["minLiquidity", "maxPrice"]) if (said.type === "sniper" && said[name].trim()) body[name] = said[name].trim();
    return body;
  }

  check(said) {
    const found = this.amountFault(said);
    if (!said.amount) found.amount = "How much?";
    if (said.type === "limit" && !said.targetPrice.trim()) found.targetPrice = "A limit order needs a price";
    if (said.type !== "limit" && !/^\d{1,4}$/.test(said.slippageBps)) found.slippageBps = "A whole number, 0 to 5000";
    return found;
  }

  async submit() {
    const said = this.read();
    const wrong = this.check(said);
    this.faults(wrong);
    if (said.tokenIn === said.tokenOut) return void ($("form-error").textContent = "Choose two different tokens");
    if (Object.keys(wrong).length) return $(FIELDS[Object.keys(wrong)[0]]).focus();
    // The same wish, asked again because no answer came, has the same key and the same expiry.
    const wish = JSON.stringify([this.body(said), said.expiresIn]);
    if (this.pending?.wish !== wish) {
      const body = this.body(said);
      if (said.type !== "market" && said.expiresIn) body.expiresAt = Date.now() + Number(said.expiresIn) * 1000;
      this.pending = { wish, body, key: newKey() };
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
    this.faults(Object.fromEntries(error.errors.map((one) => [one.pointer.slice(1), one.detail])));
    const again = unsure ? " Placing it again is safe: it cannot be placed twice." : "";
    $("form-error").textContent = `${error.message}.${again}`.replace("..", ".");
  }
}

/** crypto.randomUUID exists only over https and on localhost. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
