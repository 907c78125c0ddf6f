// The engine view: /readyz, metrics of the gateway, and what the events of the feed tell.

import { halt, resume } from "./acts.js";
import * as api from "./api.js";
import { inDoubt, nextStart, pacing, stageTable, troubleTable, why } from "./backlog.js";
import { $, badge, el, offer, svg } from "./dom.js";
import { backendFacts, failureTable, processFacts, sol } from "./engine_facts.js";
import { Failures } from "./failures.js";
import { flow, writer } from "./flow.js";
import { Latency, shown } from "./latency.js";
import * as prometheus from "./metrics.js";
import { count, percent } from "./numbers.js";
import { patch } from "./patch.js";
import { alertOf, reasonTable, RUNBOOK, runbookTable, toAlert } from "./runbook.js";
import { may, onSession } from "./session.js";
import { span } from "./times.js";

const EVERY_MS = 2000;
const SECONDS = 120;
const RATE_S = 5;
const LITTLE = 50000000; // lamports, as in the alert rule
const PAGE = 500; // orders, to find the next paced one

export class EngineView {
  constructor(store) {
    this.store = store;
    this.counts = new Map(); // second -> events
    this.latency = new Latency();
    this.failures = new Failures();
    this.written = []; // [second, writer] of the last few seconds
    this.latest = null;
    this.metrics = new Map(); // name -> [{labels, value}]
    this.next = null; // when the next paced order starts, ms since the epoch
    this.looks = []; // [s, position that the projector had reached] of the last few seconds
    $("engine-halt").addEventListener("click", halt);
    $("engine-resume").addEventListener("click", resume);
    onSession(() => this.controls());
    $("runbook").replaceChildren(runbookTable());
    this.ask();
    setInterval(() => this.ask(), EVERY_MS);
    setInterval(() => !$("view-engine").hidden && this.latest && (this.throughput(), this.flow(this.latest), this.pace(this.latest)), 1000);
  }

  /** Counts an event of the feed, past ones included, for charts and rates. */
  count(frame) {
    const second = Math.floor(Date.parse(frame.timestamp) / 1000);
    this.counts.set(second, (this.counts.get(second) ?? 0) + 1);
    if (this.counts.size > 2 * SECONDS) for (const old of this.counts.keys()) if (old < second - SECONDS) this.counts.delete(old);
    this.latency.take(frame);
    this.failures.take(frame);
    const service = writer(frame);
    if (service) this.written.push([second, service]);
    if (this.written.length > 20000) this.written.splice(0, 10000);
    if (frame.status === "halted" || frame.status === "running") this.ask();
  }

  async ask() {
    if (this.asking) return; // answers do not overtake each other
    this.asking = true;
    try {
      this.latest = await api.ready();
      this.projected();
      if (!$("view-engine").hidden) await this.more();
    } catch (error) {
      this.latest = { status: "unreachable", reasons: { gateway: error.message } };
    }
    this.asking = false;
    this.banner();
    if (!$("view-engine").hidden) this.draw();
  }

  /** What only this view needs. A part that does not answer leaves its place empty. */
  async more() {
    const paced = this.latest.lag?.stages?.router?.reasons?.pacing;
    const [metrics, page] = await Promise.all([prometheus.read().catch(() => new Map()), paced ? api.orders(PAGE, "", { status: "pending" }).catch(() => null) : null]);
    this.metrics = metrics;
    this.failures.read(metrics);
    this.next = page ? nextStart(page.orders) : null;
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

  /** `alert`: the rule whose row of the runbook is shown. */
  open(alert) {
    this.draw();
    this.ask();
    if (!(alert in RUNBOOK)) return;
    $("runbook-box").open = true;
    const row = $(`alert-${alert}`);
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  }

  banner() {
    const { halted, reasons = {} } = this.latest;
    const lines = Object.entries(reasons).filter(([part]) => part !== "gateway").map(([part, reason]) => [`${part}: ${reason}`, alertOf(this.latest, part)]);
    if (halted) lines.unshift([`Halted by ${halted.actor}: ${halted.reason || "no reason given"}. Orders are taken and wait.`, "EngineHalted"]);
    $("banner").hidden = !lines.length;
    patch($("banner"), lines.map(([text, alert], index) => el("span", { "data-key": alert ?? text }, index ? " · " : "", text, " ", alert ? toAlert(alert, "What to do") : "")));
  }

  controls() {
    const known = this.latest && this.latest.status !== "unreachable";
    offer([[$("engine-halt"), known && may("admin") && !this.latest.halted], [$("engine-resume"), known && may("admin") && this.latest.halted]]);
  }

  draw() {
    const seen = this.latest;
    if (!seen) return;
    const orders = [...this.store.orders.values()];
    const parked = { loaded: orders.filter((order) => order.parked), all: seen.parked ?? this.single("oee_orders_parked") };
    const doubt = { loaded: orders.filter(inDoubt), all: this.single("oee_orders_in_doubt") };
    patch($("engine-status"), badge(seen.halted ? "halted" : seen.status));
    this.controls();
    this.tiles(seen, parked, doubt);
    patch($("trouble"), troubleTable(parked, doubt));
    const wrong = reasonTable(seen);
    $("reasons-card").hidden = !wrong;
    patch($("reasons"), wrong);
    patch($("stages"), stageTable(seen, parked, doubt));
    patch($("failures"), failureTable(this.failures));
    patch($("backends"), backendFacts(seen));
    patch($("processes"), processFacts(seen, this.metrics));
    this.throughput();
    this.flow(seen);
    this.pace(seen);
    this.times();
  }

  single(name) {
    return prometheus.single(this.metrics, name);
  }

  tiles(seen, parked, doubt) {
    const tile = (name, value, alert = "") => el("div", { "data-key": name, class: alert ? "tile trouble" : "tile" }, el("span", {}, name), el("strong", {}, value ?? "–"), alert && toAlert(alert, "What to do"));
    const failed = this.failures.orders();
    const started = this.single("process_start_time_seconds");
    const behind = seen.lag?.projection;
    const tiles = el("div", { class: seen.chain ? "tiles with-chain" : "tiles" }, tile("Open orders", count(this.single("oee_orders_open"))), tile("Wait for the market", count(seen.resting)),
      tile("Parked", count(parked.all), parked.all > 0 && "OrdersParked"), tile("In doubt", count(doubt.all), doubt.all > 0 && "OrdersInDoubt"),
      tile("Failed, last 5 min", failed.confirmed + failed.failed ? percent(failed.failedShare) : "–", failed.failedShare >= 2000 && "OrdersFail"),
      tile("Projection lag", behind ? `${count(behind.events)} events` : "–"), tile("Events in the log", count(seen.log?.position)), tile("Gateway up for", started === undefined ? "–" : span(Date.now() - 1000 * started)), chainTiles(seen.chain ?? {}, tile));
    patch($("tiles"), tiles);
  }

  pace(seen) {
    const text = pacing(seen.lag?.stages, this.next);
    $("pacing").hidden = !text;
    patch($("pacing"), text, " ", toAlert("OrdersPaced", "What to do"));
  }

  /** Over the last RATE_S seconds. */
  flow(seen) {
    const from = Date.now() / 1000 - RATE_S;
    this.written = this.written.filter(([second]) => second >= from);
    const facts = {};
    for (const [, service] of this.written) facts[service] = { rate: (facts[service]?.rate ?? 0) + 1 / RATE_S };
    for (const [name, lag] of Object.entries(seen.lag?.stages ?? {})) facts[name] = { ...facts[name], lag: lag.orders || lag.waiting ? `${count(lag.orders)} wait${typeof lag.seconds === "number" ? `, ${span(1000 * lag.seconds)}` : ""}` : "", why: why(lag) };
    const behind = seen.lag?.projection;
    facts.projector = { rate: this.projecting(), lag: behind?.events ? `${count(behind.events)} behind` : "" };
    for (const part of Object.keys(seen.reasons ?? {})) facts[part] = { ...facts[part], fault: seen.reasons[part], alert: alertOf(seen, part) };
    patch($("flow"), flow(facts));
  }

  times() {
    const rows = this.latency.rows().map(([stage, many, ...times]) => el("tr", {}, el("th", { scope: "row" }, stage), el("td", { class: "n" }, count(many)), times.map((ms) => el("td", { class: "n" }, shown(ms)))));
    const head = ["Step", "Times", "p50", "p90", "p99"].map((name, index) => el("th", { scope: "col", class: index && "n" }, name));
    patch($("latency"), rows.length ? el("table", { class: "compact" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)) : el("p", { class: "quiet" }, "No order has ended while this page was open."));
  }

  throughput() {
    const now = Math.floor(Date.now() / 1000);
    const points = Array.from({ length: SECONDS }, (_, index) => this.counts.get(now - SECONDS + 1 + index) ?? 0);
    const most = Math.max(4, ...points);
    const line = points.map((many, index) => `${index},${100 - (many / most) * 94}`).join(" L");
    const label = `At most ${count(Math.max(...points))} events a second, ${count(points.at(-2))} in the last one`;
    patch($("throughput"), svg("svg", { viewBox: `0 0 ${SECONDS - 1} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      svg("path", { class: "area", d: `M0,100 L${line} L${SECONDS - 1},100 Z` }), svg("path", { class: "stroke", d: `M${line}` })), el("p", { class: "hint num" }, label));
  }
}

/** What only an engine on a chain has; the wallet where its address is known. */
function chainTiles({ slot, walletLamports: lamports }, tile) {
  return [slot !== undefined && tile("Newest slot", count(slot)), lamports !== undefined && tile("Wallet", sol(lamports), lamports !== null && lamports < LITTLE && "WalletShort")];
}
