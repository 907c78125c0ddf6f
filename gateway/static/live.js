// Whether what the page shows is current: the state of the stream and its age in the header, and a
// mark on the page, by which quotes and prices are greyed.

import { $ } from "./dom.js";
import { absolute, at, span } from "./times.js";

const STATES = { connecting: "Connecting…", live: "Live", down: "Reconnecting…" };
const EVERY_MS = 500;
const STALE_MS = 10000; // two heartbeats of the default

export class Live {
  constructor() {
    this.state = "connecting";
    this.heard = performance.now();
    this.last = 0; // time of the newest event
    setInterval(() => this.draw(), EVERY_MS);
  }

  set(state) {
    this.state = state;
    this.draw();
  }

  alive() {
    this.heard = performance.now();
    if (document.body.dataset.stale) this.draw();
  }

  event(timestamp) {
    this.last = Math.max(this.last, Date.parse(timestamp));
  }

  /** Says in every view that it is not current, and since when. */
  tell(old) {
    if ($("not-current").hidden !== old) return;
    $("not-current").hidden = !old;
    const since = new Date(Date.now() - (performance.now() - this.heard));
    if (old) $("not-current").replaceChildren("Not current: no events arrive from the gateway. What is shown is as of ", at(since.toISOString()), ".");
  }

  draw() {
    const silent = performance.now() - this.heard;
    const stale = this.state !== "live" || silent > STALE_MS;
    const shown = this.state === "live" && stale ? "stale" : this.state;
    const text = shown === "stale" ? `No sign of life for ${span(silent)}` : STATES[shown];
    $("connection").dataset.state = shown;
    if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
    const age = this.last ? `event ${span(Date.now() - this.last)} ago` : "";
    if ($("connection-age").textContent !== age) $("connection-age").textContent = age;
    $("connection").title = `${this.last ? `Last event ${absolute(this.last)}. ` : ""}Last sign of life ${span(silent)} ago.`;
    this.tell(stale && this.state !== "connecting");
    if (stale) document.body.dataset.stale = "true";
    else delete document.body.dataset.stale;
  }
}
