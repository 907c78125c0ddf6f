// The engine view: /readyz, the numbers of parked and in-doubt orders, and events a second.

import * as api from "./api.js";
import { $, badge, el, svg } from "./dom.js";
import { flow, writer } from "./flow.js";
import { Latency, shown } from "./latency.js";

const EVERY_MS = 2000;
const SECONDS = 120;
const RATE_S = 5;

export class EngineView {
  constructor(store) {
    this.store = store;
    this.counts = new Map(); // second -> events
    this.latency = new Latency();
    this.written = []; // [second, writer] of the last few seconds
    this.latest = null;
    this.metrics = new Map(); // name -> value, of those without labels
    this.looks = []; // [s, position that the projector had reached] of the last few seconds
    this.ask();
    setInterval(() => this.ask(), EVERY_MS);
    setInterval(() => !$("view-engine").hidden && this.latest && (this.throughput(), this.flow(this.latest)), 1000);
  }

  /** Counts an event of the feed, past ones included, for the throughput chart. */
  count(frame) {
    const second = Math.floor(Date.parse(frame.timestamp) / 1000);
    this.counts.set(second, (this.counts.get(second) ?? 0) + 1);
    if (this.counts.size > 2 * SECONDS) for (const old of this.counts.keys()) if (old < second - SECONDS) this.counts.delete(old);
    this.latency.take(frame);
    const who = writer(frame);
    if (who) this.written.push([second, who]);
    if (this.written.length > 20000) this.written.splice(0, 10000);
    if (frame.status === "halted" || frame.status === "running") this.ask();
  }

  async ask() {
    try {
      this.latest = await api.ready();
      this.projected();
      if (!$("view-engine").hidden) this.metrics = await api.metrics();
    } catch (error) {
      this.latest = { status: "unreachable", reasons: { gateway: error.message } };
    }
    this.banner();
    if (!$("view-engine").hidden) this.draw();
  }

  /** Records the position of the projector; its rate is the progress since the oldest record. */
  projected() {
    const [now, position] = [performance.now() / 1000, this.latest.postgres?.position];
    if (position === undefined) this.looks = [];
    else this.looks = [...this.looks.filter(([at]) => at > now - RATE_S - EVERY_MS / 1000), [now, position]];
  }

  projecting() {
    const [[from, before], [to, after]] = [this.looks.at(0) ?? [0, 0], this.looks.at(-1) ?? [0, 0]];
    return to > from && after > before ? (after - before) / (to - from) : 0;
  }

  open() {
    this.draw();
    this.ask();
  }

  banner() {
    const { halted, reasons = {} } = this.latest;
    const messages = Object.entries(reasons).filter(([part]) => part !== "gateway").map(([part, reason]) => `${part}: ${reason}`);
    if (halted) messages.unshift(`Halted by ${halted.actor}: ${halted.reason || "no reason given"}. Orders are taken and wait.`);
    $("banner").hidden = !messages.length;
    if ($("banner").textContent !== messages.join(" · ")) $("banner").textContent = messages.join(" · ");
  }

  draw() {
    const seen = this.latest;
    if (!seen) return;
    const orders = [...this.store.orders.values()];
    const [parked, doubt] = [orders.filter((order) => order.parked), orders.filter((order) => order.inDoubt)];
    const [allParked, allDoubt] = [this.metrics.get("oee_orders_parked"), this.metrics.get("oee_orders_in_doubt")];
    $("engine-status").replaceChildren(badge(seen.halted ? "halted" : seen.status));
    const tile = (name, value) => el("div", { class: "tile" }, el("span", {}, name), el("strong", {}, value ?? "–"));
    const number = (value) => (value === undefined || value === null ? "–" : value.toLocaleString());
    $("tiles").replaceChildren(tile("Events in the log", number(seen.log?.position)), tile("Resting orders", number(seen.resting)), tile("Parked", number(allParked)),
      tile("In doubt", number(allDoubt)), tile("Projection lag", seen.lag?.projection ? `${number(seen.lag.projection.events)} events` : "–"));
    this.stages(seen, [parked, allParked], [doubt, allDoubt]);
    this.backends(seen);
    this.throughput();
    this.flow(seen);
    this.times();
  }

  /** Over the last RATE_S seconds. */
  flow(seen) {
    const from = Date.now() / 1000 - RATE_S;
    this.written = this.written.filter(([second]) => second >= from);
    const facts = {};
    for (const [, who] of this.written) facts[who] = { rate: (facts[who]?.rate ?? 0) + 1 / RATE_S };
    for (const [name, lag] of Object.entries(seen.lag?.stages ?? {})) facts[name] = { ...facts[name], lag: lag.orders || lag.waiting ? `${lag.orders} orders, ${lag.seconds?.toFixed(1) ?? "?"} s` : "" };
    const behind = seen.lag?.projection;
    facts.projector = { rate: this.projecting(), lag: behind?.events ? `${behind.events} events behind` : "" };
    for (const part of Object.keys(seen.reasons ?? {})) facts[part] = { ...facts[part], fault: seen.reasons[part] };
    $("flow").replaceChildren(flow(facts));
  }

  times() {
    const rows = this.latency.rows().map(([stage, count, ...times]) => el("tr", {}, el("th", { scope: "row" }, stage), el("td", { class: "n" }, count), times.map((ms) => el("td", { class: "n" }, shown(ms)))));
    const head = ["Step", "Times", "p50", "p90", "p99"].map((name, index) => el("th", { scope: "col", class: index && "n" }, name));
    $("latency").replaceChildren(rows.length ? el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)) : el("p", { class: "quiet" }, "No order has ended while this page was open."));
  }

  /** `parked` and `doubt`: the loaded orders, and the total; of orders not loaded only the total is known. */
  stages(seen, parked, doubt) {
    const at = ([list, all], name) => {
      const here = list.filter((order) => order.parked === name || (name === "confirmer" && !order.parked && order.inDoubt)).length;
      return all === list.length ? here : here ? `≥ ${here}` : "–";
    };
    const rows = Object.entries(seen.lag?.stages ?? {}).map(([name, lag]) => el("tr", {}, el("th", { scope: "row" }, name),
      el("td", { class: "n" }, lag.orders), el("td", { class: "n" }, lag.waiting), el("td", { class: "n" }, `${lag.seconds?.toFixed(lag.seconds < 10 ? 2 : 0) ?? "?"} s`),
      el("td", { class: "n" }, at(parked, name)), el("td", { class: "n" }, at(doubt, name)), el("td", {}, badge(seen.reasons[name] ? "degraded" : "ok"), " ", seen.reasons[name] ?? "")));
    const head = ["Stage", "Orders", "Waiting", "Oldest", "Parked", "In doubt", "State"].map((name, index) => el("th", { scope: "col", class: index > 0 && index < 6 && "n" }, name));
    $("stages").replaceChildren(rows.length ? el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)) : el("p", { class: "quiet" }, "Not known now."));
  }

  backends(seen) {
    const line = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
    $("backends").replaceChildren(el("dl", { class: "facts" }, line("Log", seen.log?.detail ?? seen.log?.status ?? "unreachable"), line("Accepted means", seen.log?.durability ?? "–"),
      line("Epoch", String(seen.log?.epoch ?? "–")), line("Postgres", seen.postgres?.detail ?? seen.postgres?.status ?? "unreachable"), line("Archived through", String(seen.postgres?.position ?? "–")),
      seen.chain ? [line("Consensus", seen.chain.consensus ?? "–"), line("A fill counts once", seen.chain.commitment), line("Transactions", versions(seen.chain)), line("Slot", `${seen.chain.slotMs} ms`)] : []));
  }

  throughput() {
    const now = Math.floor(Date.now() / 1000);
    const points = Array.from({ length: SECONDS }, (_, index) => this.counts.get(now - SECONDS + 1 + index) ?? 0);
    const most = Math.max(4, ...points);
    const line = points.map((count, index) => `${index},${100 - (count / most) * 94}`).join(" L");
    const label = `At most ${Math.max(...points)} events a second, ${points.at(-2)} in the last one`;
    $("throughput").replaceChildren(svg("svg", { viewBox: `0 0 ${SECONDS - 1} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      svg("path", { class: "area", d: `M0,100 L${line} L${SECONDS - 1},100 Z` }), svg("path", { class: "stroke", d: `M${line}` })), el("p", { class: "hint num" }, label));
  }
}

// The transaction version that is built and the newest that the cluster accepts; null: not known yet.
function versions({ buildsVersion, transactionVersion }) {
  return transactionVersion === null ? `v${buildsVersion} is built` : `v${buildsVersion} is built, the cluster takes v${transactionVersion}`;
}
