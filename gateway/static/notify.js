// Notifications: a toast for each fill, failure and trigger; a browser notification and a sound
// where the user switched them on. The choices are kept in this browser.

import { $, el } from "./dom.js";
import { OrderConfirmed, OrderExpired, OrderFailed, OrderParked, OrderTriggered, TransactionInDoubt } from "./events.js";
import { sentence } from "./explain.js";
import { short } from "./numbers.js";

const SHOWN_MS = 6000;
const MOST = 4; // toasts at once; further ones are counted
const RECENT_MS = 30000; // older events were read, not seen to happen
const NAME = "oee-notify";
const CHOICES = { toasts: true, browser: false, sound: false };

const EVENTS = {
  [OrderConfirmed]: { kind: "good", tone: 880, text: (frame, order) => `Filled: ${short(frame.amountIn ?? order?.amountIn)} ${order?.tokenIn ?? ""} → ${short(frame.amountOut)} ${order?.tokenOut ?? ""}` },
  [OrderFailed]: { kind: "bad", tone: 220, text: (frame, order) => `Failed${pair(order)}: ${sentence(frame.reason)}` },
  [OrderExpired]: { kind: "warn", tone: 330, text: (frame, order) => `Expired${pair(order)}` },
  [OrderTriggered]: { kind: "busy", tone: 660, text: (frame, order) => `Triggered${pair(order)}${frame.price ? ` at ${short(frame.price)}` : ""}` },
  [OrderParked]: { kind: "bad", tone: 220, text: (frame, order) => `Parked${pair(order)}: it waits for an operator` },
  [TransactionInDoubt]: { kind: "warn", tone: 330, text: (frame, order) => `In doubt${pair(order)}: the outcome of its transaction is unknown` },
};

const pair = (order) => (order?.tokenIn ? `, ${order.tokenIn} → ${order.tokenOut}` : "");

let more = 0;
let sounds = null;
const stored = () => ({ ...CHOICES, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") });

/** Shows a line for a few seconds; `kind`: "", good, warn, busy, bad. It leads to the order. */
export function toast(text, kind = "", orderId = "") {
  const box = $("toasts");
  if (box.querySelectorAll(".toast").length >= MOST) {
    more += 1;
    $("toasts-more").textContent = `and ${more} more`;
    return;
  }
  const line = orderId ? el("a", { class: `toast ${kind}`, href: `#/orders/${orderId}` }, text) : el("p", { class: `toast ${kind}` }, text);
  box.prepend(line);
  setTimeout(() => {
    line.remove();
    if (!box.querySelector(".toast")) $("toasts-more").textContent = (more = 0) || "";
  }, SHOWN_MS);
}

/** A frame of the feed, with the order as it is after it. */
export function notice(frame, order) {
  const row = EVENTS[frame.event];
  if (!row || Date.now() - Date.parse(frame.timestamp) > RECENT_MS) return;
  const [choices, text] = [stored(), row.text(frame, order)];
  if (choices.toasts) toast(text, row.kind, frame.orderId);
  if (choices.sound) play(row.tone);
  if (choices.browser && document.hidden && globalThis.Notification?.permission === "granted") {
    const shown = new Notification("Order engine", { body: text, tag: frame.orderId });
    shown.onclick = () => {
      focus();
      location.hash = `#/orders/${frame.orderId}`;
    };
  }
}

function play(tone) {
  sounds ??= new AudioContext();
  const [oscillator, volume] = [sounds.createOscillator(), sounds.createGain()];
  oscillator.frequency.value = tone;
  volume.gain.setValueAtTime(0.08, sounds.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.0001, sounds.currentTime + 0.25);
  oscillator.connect(volume).connect(sounds.destination);
  oscillator.start();
  oscillator.stop(sounds.currentTime + 0.25);
}

/** Connects the three switches of the menu. */
export function switches() {
  const choices = stored();
  for (const name of Object.keys(CHOICES)) {
    const box = $(`notify-${name}`);
    box.checked = choices[name];
    box.addEventListener("change", async () => {
      if (name === "browser" && box.checked) {
        const granted = (await globalThis.Notification?.requestPermission()) === "granted";
        if (!granted) toast("The browser does not allow notifications of this page.", "warn");
        box.checked = granted;
      }
      localStorage.setItem(NAME, JSON.stringify({ ...stored(), [name]: box.checked }));
      if (name === "sound" && box.checked) play(660);
    });
  }
}
