// Notifications: a toast for each fill, failure and trigger; a browser notification and a sound
// where the user switched them on. Many of a kind become a digest that counts. The choices are kept
// in this browser.

import { $, el } from "./dom.js";
import { OrderConfirmed, OrderExpired, OrderFailed, OrderParked, OrderTriggered, TransactionInDoubt } from "./events.js";
import { sentence } from "./explain.js";
import { count, short } from "./numbers.js";

const SHOWN_MS = 6000;
const MOST = 4; // toasts at once; further ones are counted
const BURST_MS = 3000; // events of a kind that follow each other faster belong together
const EACH = 3; // of a burst are shown one by one
const QUIET_MS = 1000; // between two sounds or browser notifications of a kind
const RECENT_MS = 30000; // older events were read, not seen to happen
const NAME = "oee-notify";
const CHOICES = { toasts: true, browser: false, sound: false };

const EVENTS = {
  [OrderConfirmed]: { kind: "good", tone: 880, many: "confirmed", status: "confirmed", text: (frame, order) => `Filled: ${short(frame.amountIn ?? order?.amountIn)} ${order?.tokenIn ?? ""} → ${short(frame.amountOut)} ${order?.tokenOut ?? ""}` },
  [OrderFailed]: { kind: "bad", tone: 220, many: "failed", status: "failed", text: (frame, order) => `Failed${pair(order)}: ${sentence(frame.reason)}` },
  [OrderExpired]: { kind: "warn", tone: 330, many: "expired", status: "expired", text: (frame, order) => `Expired${pair(order)}` },
  [OrderTriggered]: { kind: "busy", tone: 660, many: "triggered", status: "open", text: (frame, order) => `Triggered${pair(order)}${frame.price ? ` at ${short(frame.price)}` : ""}` },
  [OrderParked]: { kind: "bad", tone: 220, many: "parked, waiting for an operator", status: "parked", text: (frame, order) => `Parked${pair(order)}: it waits for an operator` },
  [TransactionInDoubt]: { kind: "warn", tone: 330, many: "in doubt", status: "in doubt", text: (frame, order) => `In doubt${pair(order)}: the outcome of its transaction is unknown` },
};

const pair = (order) => (order?.tokenIn ? `, ${order.tokenIn} → ${order.tokenOut}` : "");

let more = 0;
let sounds = null;
let show = () => {};
const bursts = new Map(); // event -> {many, last, lines, line, told}
const stored = () => ({ ...CHOICES, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") });

/** `open`: opens the list with a status filter, for a digest that was clicked. */
export const onDigest = (open) => (show = open);

/** Shows a line for a few seconds; `kind`: "", good, warn, busy, bad. It leads to the order. */
export function toast(text, kind = "", orderId = "") {
  const box = $("toasts");
  if (box.querySelectorAll(".toast").length >= MOST) {
    more += 1;
    $("toasts-more").textContent = `and ${count(more)} more`;
    return null;
  }
  const line = orderId ? el("a", { class: `toast ${kind}`, href: `#/orders/${orderId}` }, text) : el("p", { class: `toast ${kind}` }, text);
  box.prepend(line);
  later(line);
  return line;
}

const timers = new WeakMap(); // line -> when it goes
const held = (line) => line.matches(":hover, :focus");

/** Takes a line away after its time, but not while it is pointed at or has the focus. */
function later(line) {
  clearTimeout(timers.get(line));
  timers.set(line, setTimeout(() => (held(line) ? later(line) : remove(line)), SHOWN_MS));
}

function remove(line) {
  line.remove();
  if (!$("toasts").querySelector(".toast")) $("toasts-more").textContent = (more = 0) || "";
}

/** The burst that an event belongs to, with this one counted. */
function counted(event, now) {
  const before = bursts.get(event);
  const burst = before && now - before.last < (before.line ? SHOWN_MS : BURST_MS) ? before : { many: 0, told: 0, lines: [], line: null };
  bursts.set(event, burst);
  burst.many += 1;
  burst.last = now;
  return burst;
}

/** One line that counts, in the place of the single ones. */
function digest(burst, row) {
  if (!burst.line) {
    burst.lines.filter((line) => !held(line)).forEach(remove);
    burst.line = el("button", { type: "button", class: `toast ${row.kind}`, onclick: () => show(row.status) });
    $("toasts").prepend(burst.line);
  }
  burst.line.textContent = summary(burst, row);
  later(burst.line);
}

const summary = ({ many }, row) => `${count(many)} orders ${row.many}`;

/** A frame of the feed, with the order as it is after it. */
export function notice(frame, order) {
  const row = EVENTS[frame.event];
  if (!row || Date.now() - Date.parse(frame.timestamp) > RECENT_MS) return;
  const [choices, now] = [stored(), performance.now()];
  const burst = counted(frame.event, now);
  const many = burst.many > EACH;
  const text = many ? summary(burst, row) : row.text(frame, order);
  if (choices.toasts && many) digest(burst, row);
  else if (choices.toasts) burst.lines.push(...[toast(text, row.kind, frame.orderId)].filter(Boolean));
  if (many && now - burst.told < QUIET_MS) return;
  burst.told = now;
  if (choices.sound) play(row.tone);
  if (choices.browser && document.hidden && globalThis.Notification?.permission === "granted") {
    const shown = new Notification("Order engine", { body: text, tag: many ? frame.event : frame.orderId });
    shown.onclick = () => {
      focus();
      if (many) show(row.status);
      else location.hash = `#/orders/${frame.orderId}`;
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
