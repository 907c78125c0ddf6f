// What an operator does about each reason of /readyz, and the alert rule that fires for it.

import { el } from "./dom.js";

/** By the code of the reason: alert rule, and what to do. */
export const BY_CODE = {
  "log-unavailable": ["LogUnavailable", "Start the log's server, or restore its network. Orders are refused until then, and none is lost."],
  "log-full": ["LogFull", "Give the log's server more memory, or let open orders end."],
  "log-suspended": ["LogSuspended", "Run engine doctor: it names what suspended the log and how to mend it."],
  "log-unsafe": ["LogUnsafe", "Run engine doctor: a setting of the log's server may lose writes."],
  "log-not-compared": ["LogNotCompared", "Start the projector and Postgres: the log is compared with the archive before anything is sent."],
  "foreign-entries": ["LogEntriesForeign", "Find out who writes to the log; engine repair removes the entries."],
  "archive-unavailable": ["PostgresGone", "Start Postgres. Orders are executed meanwhile; lists are stale."],
  "projector-halted": ["ProjectorHalted", "Run engine audit verify, then engine repair."],
  "projector-behind": ["ProjectionBehind", "Look at the load of Postgres, and whether the projector runs."],
  "projector-age-unknown": ["ProjectionAgeUnknown", "Look at the projector's log."],
  "stage-without-worker": ["StageWithoutWorker", "Start a worker of the stage: engine stage NAME."],
  "stage-silent": ["StageSilent", "Look at the stage's log; restart it if it hangs."],
  "stage-stuck": ["StageStuck", "Look at the stage's log for its oldest order."],
  "stage-age-unknown": ["StageAgeUnknown", "Look at the log's server: it does not tell how long orders wait."],
  "watcher-missing": ["WatcherMissing", "Start the watcher: limit and sniper orders do not trigger."],
  "market-unavailable": ["MarketUnavailable", "Look at SOLANA_RPC_URL and the nodes."],
};
/** For a gateway that gives no codes. */
const BY_PART = { log: "log-suspended", postgres: "archive-unavailable", projector: "projector-behind", entries: "foreign-entries", market: "market-unavailable", watcher: "watcher-missing" };

/** Rows of part, reason, alert and remedy; null while nothing is wrong. */
export function reasonTable({ reasons = {}, codes = {} }) {
  const rows = Object.entries(reasons).map(([part, text]) => {
    const [alert, remedy] = BY_CODE[codes[part] ?? BY_PART[part]] ?? ["", "Run engine doctor."];
    return el("tr", {}, el("th", { scope: "row" }, part), el("td", {}, text), el("td", {}, codes[part] ? alert : ""), el("td", {}, remedy));
  });
  if (!rows.length) return null;
  const head = ["Part", "What is wrong", "Alert", "What to do"].map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}
