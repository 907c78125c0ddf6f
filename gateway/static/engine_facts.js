// The engine view's facts: failures, backends, chain and processes.

import { el } from "./dom.js";
import { explained } from "./explain.js";
import { plain } from "./money.js";
import { count, figure, percent } from "./numbers.js";
import * as prometheus from "./metrics.js";
import { toAlert } from "./runbook.js";
import { absolute, span } from "./times.js";

const REASONS = 3;
const LAMPORT_DECIMALS = 9;
const line = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
/** "1.5 SOL", in full on hover; a dash where it is not known. */
export const sol = (lamports) => (lamports === null ? "–" : figure(plain(BigInt(lamports), LAMPORT_DECIMALS), "SOL"));
const facts = (lines) => el("dl", { class: "facts left num" }, lines.filter(Boolean));

/** Outcomes of orders and errors of requests, as numbers and shares. */
export function failureTable(failures) {
  const orders = failures.orders();
  const ended = orders.confirmed + orders.failed;
  const share = (many) => (ended ? percent(Math.round((10000 * many) / ended)) : "–");
  const grown = (name) => failures.grown(name);
  const rate = (grew) => (grew && grew.seconds > 0 ? `${((60 * grew.by) / grew.seconds).toFixed(1)} a minute` : "–");
  const rows = [
    ["Orders confirmed", count(orders.confirmed), share(orders.confirmed)], ["Orders failed", count(orders.failed), share(orders.failed)],
    ["Orders expired", count(orders.expired), ""], ["Attempts failed and tried again", count(orders.attempts), ""],
    ...[["Answers 5xx of this gateway", "http5xx"], ["Answers 4xx of this gateway", "http4xx"], ["Appends refused or unanswered", "appends"], ["Requests to nodes failed, of this gateway", "rpc"]]
      .map(([name, counter]) => [name, grown(counter) ? count(grown(counter).by) : "–", rate(grown(counter))]),
  ];
  const body = rows.map(([name, many, of]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "n" }, many), el("td", { class: "n" }, of)));
  const head = ["What", "Number", "Rate"].map((name, index) => el("th", { scope: "col", class: index && "n" }, name));
  const why = orders.reasons.slice(0, REASONS).map(([reason, many]) => el("li", {}, `${count(many)} × `, reason ? explained(reason) : "no reason given"));
  return el("div", {}, el("table", { class: "compact" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)), why.length ? [el("h3", {}, "Why orders failed"), el("ul", { class: "plain-list" }, why)] : "");
}

export function backendFacts(seen) {
  const { log, postgres, chain } = seen;
  return facts([
    line("Log", log?.detail ?? log?.status ?? "unreachable"), line("Accepted means", log?.durability ?? "–"), line("Epoch", log?.epoch === undefined ? "–" : count(log.epoch)),
    line("Postgres", postgres?.detail ?? postgres?.status ?? "unreachable"), line("Archived through", count(postgres?.position)),
    ...(chain ? chainLines(chain) : []),
  ]);
}

function chainLines(chain) {
  const nodes = chain.nodes?.map(({ host, detail }) => el("div", { "data-key": host }, `${host}: `, detail ? [el("span", { class: "bad" }, detail), " ", toAlert("NodesFail", "What to do")] : "ok"));
  return [
    line("Consensus", chain.consensus ?? "–"), line("A fill counts once", chain.commitment), line("Transactions", versions(chain)), line("Slot length", `${count(chain.slotMs)} ms`),
    chain.slot !== undefined && line("Newest slot", chain.slot === null ? "not known now" : count(chain.slot)),
    nodes?.length && line(nodes.length === 1 ? "RPC node" : "RPC nodes", nodes),
    chain.walletLamports !== undefined && line("Wallet", chain.walletLamports === null ? "not known now" : sol(chain.walletLamports)),
  ];
}

/** Version and start of the gateway, and restarts where a supervisor counts them. */
export function processFacts(seen, metrics) {
  const started = prometheus.single(metrics, "process_start_time_seconds");
  const memory = prometheus.single(metrics, "process_resident_memory_bytes");
  const restarts = Object.entries(seen.restarts ?? {});
  const since = started && new Date(1000 * started).toISOString();
  return facts([
    line("Version", seen.version ?? "–"), line("Gateway up for", since ? el("time", { datetime: since, title: absolute(since) }, span(Date.now() - 1000 * started)) : "–"),
    line("Gateway's memory", memory ? `${count(Math.round(memory / 2 ** 20))} MiB` : "–"), line("Streams open", count(prometheus.single(metrics, "oee_ws_subscribers"))),
    seen.restarts && line("Restarts", restarts.length ? restarts.map(([name, many]) => el("div", {}, `${name}: ${count(many)}`)) : "none"),
  ]);
}

// The transaction version that is built and the newest that the cluster accepts; null: not known yet.
function versions({ buildsVersion, transactionVersion }) {
  return transactionVersion === null ? `v${buildsVersion} is built` : `v${buildsVersion} is built, the cluster takes v${transactionVersion}`;
}
