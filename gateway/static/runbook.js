// The runbook: for each alert rule what it means and what an operator does, and which rule a reason
// of /readyz fires. A red state of the console links to its row.

import { el } from "./dom.js";
import { ACTIONS, ALERTS } from "./readiness.js";

/** Alert rule -> [what it means, what to do]. */
export const RUNBOOK = {
  OrdersNotTaken: ["New orders are refused. Accepted ones are safe in the log.", "Look at the log under Backends and chain, then run engine doctor."],
  GatewayGone: ["A gateway does not answer. Accepted orders continue.", "Look at its process and its log; start it again."],
  LogNotDurable: ["Accepted does not mean fsynced.", "Set appendonly yes and appendfsync always; engine doctor shows how."],
  LogUnavailable: ["The log's server does not answer.", "Start the log's server, or restore its network. Orders are refused until then, and none is lost."],
  LogFull: ["The log's server has too little memory left for new orders.", "Give the log's server more memory, or let open orders end."],
  LogMemoryShort: ["The log's server has used 70 % of its memory; at 80 % new orders are refused.", "Give it more memory."],
  LogSuspended: ["The log takes neither orders nor sends.", "Run engine doctor: it names what suspended the log and how to mend it."],
  LogUnsafe: ["A setting of the log's server may lose writes.", "Run engine doctor: it names the setting."],
  LogNotCompared: ["Nothing is sent before the log is compared with the archive.", "Start the projector and Postgres."],
  LogEntriesForeign: ["Another client writes to the log. Such entries are not processed.", "Find out which client it is; engine repair removes the entries."],
  HeadDamaged: ["The head of an open order is not what its events add up to. Other orders continue.", "Run engine repair: it rewrites the head from the order's events."],
  OrdersInDoubt: ["The outcome of a sent transaction is unknown.", "Run engine doubts list: it says what is missing. Most end by themselves; engine doubts close ends the others."],
  OrdersParked: ["Orders are parked: they wait for an operator.", "Replay, settle or discard each; its panel has the buttons and the reason."],
  OrdersFail: ["More than a fifth of the orders fail.", "Look at the reasons under Failures."],
  EngineHalted: ["An operator halted the engine.", "Resume it once the reason for the halt is over."],
  StageWithoutWorker: ["No worker of the stage runs. Orders wait for it, safe in the log.", "Start a worker of the stage: engine stage NAME."],
  StageSilent: ["The workers of the stage are silent.", "Run engine alive: it names those that hang. Look at the stage's log and restart it."],
  ProcessHung: ["A process exists and shows no life, or its host is lost. Another of its kind takes over its orders.", "End it on its host with kill -9; start another. One of a lost host is named until the log's server drops its connections."],
  StageStuck: ["The oldest order of the stage does not move.", "Look at the stage's log for its oldest order."],
  StageAgeUnknown: ["Orders wait for the stage, for an unknown time.", "Look at the log's server, then run engine audit verify."],
  StageBehind: ["An order has waited for a stage for over a minute.", "Look at the reason under Stages; with queue, run more workers of the stage."],
  OrdersPaced: ["More orders come in than ORDERS_PER_MINUTE lets start.", "Raise the limit, or send fewer orders."],
  OrdersWaitForNodes: ["Orders wait for a node that answers.", "Run engine doctor: it asks each node of SOLANA_RPC_URL."],
  WatcherMissing: ["No worker follows prices and pools: limit and sniper orders do not trigger.", "Start the watcher: engine stage watcher."],
  MarketUnavailable: ["No venue can be asked for quotes.", "Look at SOLANA_RPC_URL and the nodes under Backends and chain."],
  NodesFail: ["More than a sixth of the requests to nodes fail.", "Run engine doctor: it asks each node of SOLANA_RPC_URL."],
  WalletShort: ["The wallet has less than 0.05 SOL. Fees and rents are paid from it.", "Send SOL to the wallet: engine doctor names its address."],
  ClockSkewed: ["The clock of a gateway differs from that of the log's server.", "Run an NTP client (chrony, systemd-timesyncd) on both machines."],
  MethodNotServed: ["No node serves a method that orders need.", "Run engine doctor: it says which method is missing at which node."],
  WorkerGone: ["A process does not answer. Another of its kind takes over its orders.", "Look at its log; start it again."],
  ProcessRestarts: ["A process is started again and again.", "Read process_restarted in the log: it says why it ended."],
  AppendsSlow: ["The slowest hundredth of the appends takes over 250 ms.", "Look at the disk of the log's server."],
  WritesFenced: ["A process that was started before a repair writes to the log.", "Restart it."],
  PostgresGone: ["Postgres does not answer. Orders are executed meanwhile; lists are stale.", "Start Postgres, or restore its network."],
  ProjectionBehind: ["The archive is behind the log.", "Look at the load of Postgres, and whether the projector runs."],
  ProjectionAgeUnknown: ["The archive is behind, for an unknown time.", "Look at the projector's log."],
  ProjectorHalted: ["The projector stopped at an event that it cannot archive.", "Run engine audit verify, then engine repair."],
};

/** For a gateway that gives no codes, or no answer. */
const BY_PART = { gateway: "GatewayGone", log: "LogSuspended", postgres: "PostgresGone", projector: "ProjectionBehind", entries: "LogEntriesForeign", market: "MarketUnavailable", watcher: "WatcherMissing" };
const OTHERWISE = "Run engine doctor.";

/** The alert rule of a reason; undefined where none is known. */
export const alertOf = ({ codes = {} }, part) => ALERTS[codes[part]] ?? (codes[part] ? undefined : BY_PART[part]);

/** A link to the row of an alert rule; `text`: by default its name. */
export const toAlert = (alert, text = alert) => (alert in RUNBOOK ? el("a", { class: "to-alert", href: `#/engine/${alert}`, title: RUNBOOK[alert].join(" ") }, text) : text === alert ? "" : text);

/** Rows of part, reason, alert and remedy; null while nothing is wrong. */
export function reasonTable(seen) {
  const rows = Object.entries(seen.reasons ?? {}).map(([part, text]) => {
    const alert = alertOf(seen, part);
    return el("tr", { "data-key": part }, el("th", { scope: "row" }, part), el("td", {}, text), el("td", {}, alert ? toAlert(alert) : ""), el("td", {}, ACTIONS[seen.codes?.[part]] ?? RUNBOOK[alert]?.[1] ?? OTHERWISE));
  });
  return rows.length ? table("stack", ["Part", "What is wrong", "Alert", "What to do"], rows) : null;
}

/** Every alert rule. */
export function runbookTable() {
  return table("stack", ["Alert", "What it means", "What to do"], Object.entries(RUNBOOK).map(([alert, [meaning, remedy]]) => el("tr", { id: `alert-${alert}`, tabindex: "-1" }, el("th", { scope: "row" }, alert), el("td", {}, meaning), el("td", {}, remedy))));
}

const table = (kind, names, rows) => el("table", { class: kind }, el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows));
