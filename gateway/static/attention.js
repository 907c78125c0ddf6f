// What needs a person: parked orders, orders in doubt, and a halted engine, with what can be done.

import { halt, resume } from "./acts.js";
import * as api from "./api.js";
import { $, el, offer } from "./dom.js";
import { EngineHalted, EngineResumed } from "./events.js";
import { count } from "./numbers.js";
import { patch } from "./patch.js";
import { may, onSession } from "./session.js";
import { troubleOf } from "./store.js";

const KINDS = { parked: "parked, waiting for an operator", "in doubt": "in doubt, with a transaction of unknown outcome" };

export class Attention {
  /** `show` opens the list with a status filter. */
  constructor(store, show) {
    this.store = store;
    this.show = show;
    this.halted = null; // unknown
    $("halt").addEventListener("click", halt);
    $("resume").addEventListener("click", resume);
    store.onChange(({ frame }) => this.changed(frame));
    onSession(() => this.draw());
    this.read();
  }

  async read() {
    try {
      this.halted = Boolean((await api.ready()).halted);
      this.draw();
    } catch {
      setTimeout(() => this.read(), 2000);
    }
  }

  changed(frame) {
    if (frame?.event === EngineHalted) this.halted = true;
    if (frame?.event === EngineResumed) this.halted = false;
    if (this.planned) return;
    this.planned = true;
    setTimeout(() => {
      this.planned = false;
      this.draw();
    }, 200);
  }

  draw() {
    offer([[$("halt"), may("admin") && this.halted === false], [$("resume"), may("admin") && this.halted]]);
    const counts = { parked: 0, "in doubt": 0 };
    for (const order of this.store.orders.values()) if (troubleOf(order)) counts[troubleOf(order)] += 1;
    const text = JSON.stringify(counts);
    if (text === this.text) return;
    this.text = text;
    const lines = Object.entries(counts).filter(([, many]) => many).map(([kind, many]) => el("span", { "data-key": kind }, `${count(many)} ${many === 1 ? "order" : "orders"} ${KINDS[kind]} `, el("button", { type: "button", class: "plain tight", onclick: () => this.show(kind) }, "Show")));
    patch($("attention"), lines);
    $("attention").hidden = !lines.length;
  }
}
