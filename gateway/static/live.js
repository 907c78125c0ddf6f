// Whether what the page shows is current: the state of the stream and its age in the header, and a
// mark on the page, by which quotes and prices are greyed.

import { $ } from "./dom.js";
import * as key from "./key.js";
import { patch } from "./patch.js";
import { absolute, at, span } from "./times.js";

const STATES = { connecting: "Connecting…", live: "Live", down: "Reconnecting…" };
const KEYS = { true: "Key refused", false: "No key" };
const EVERY_MS = 500;
const ASLEEP_MS = 5000; // between two looks: the computer, or this tab, was stopped
const STALE_MS = 10000; // two heartbeats of the default

export class Live {
  constructor() {
    this.state = "connecting";
    this.heard = [performance.now(), Date.now()];
    this.last = 0; // time of the newest event
    this.key = null; // while a key is asked for: whether there was another one before
    this.woke = () => {};
    key.onAsked((before) => {
      this.key = before;
      this.draw();
    });
    setInterval(() => this.draw(), EVERY_MS);
    document.addEventListener("visibilitychange", () => this.draw());
  }

  /** ms without a sign of life. The first clock stands still while a computer sleeps; the second may be set back. */
  silent() {
    const [slept, wall] = [performance.now() - this.heard[0], Date.now() - this.heard[1]];
    return Math.max(slept, wall);
  }

  set(state) {
    this.state = state;
    this.draw();
  }

  alive() {
    this.heard = [performance.now(), Date.now()];
    if (document.body.dataset.stale) this.draw();
  }

  event(timestamp) {
    this.last = Math.max(this.last, Date.parse(timestamp));
  }

  /** Says in every view that it is not current, and since when. */
  tell(old, silent) {
    $("not-current").hidden = !old;
    if (!old) return;
    const since = new Date(Date.now() - silent);
    if (this.key) patch($("not-current"), "Not current: the key of this page is not accepted any more. What was read with it is hidden.");
    else patch($("not-current"), "Not current: no events arrive from the gateway. What is shown is as of ", at(new Date(Math.floor(since / 1000) * 1000).toISOString()), ".");
  }

  /** Whether no look was possible for some time and nothing arrived meanwhile. The timers of a tab in the background pause too, but its stream does not. */
  asleep(silent) {
    const [before, now] = [this.looked ?? Date.now(), Date.now()];
    this.looked = now;
    return now - before > ASLEEP_MS && silent > STALE_MS;
  }

  draw() {
    const silent = this.silent();
    if (this.asleep(silent)) this.woke();
    const stale = this.state !== "live" || silent > STALE_MS || this.key !== null;
    const shown = this.key !== null ? "down" : this.state === "live" && stale ? "stale" : this.state;
    const text = this.key !== null ? KEYS[this.key] : shown === "stale" ? `No sign of life for ${span(silent)}` : STATES[shown];
    $("connection").dataset.state = shown;
    if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
    const age = this.last ? `event ${span(Date.now() - this.last)} ago` : "";
    if ($("connection-age").textContent !== age) $("connection-age").textContent = age;
    $("connection").title = `${this.last ? `Last event ${absolute(this.last)}. ` : ""}Last sign of life ${span(silent)} ago.`;
    this.tell(stale && (this.state !== "connecting" || Boolean(this.key)), silent);
    document.body.toggleAttribute("data-locked", this.key !== null);
    if (stale) document.body.dataset.stale = "true";
    else delete document.body.dataset.stale;
  }
}
