// The reasons of /readyz: the alert rule of each, and what an operator does about it. Made by `engine docs --write`.

export const ALERTS = {
  "archive-unavailable": "PostgresGone",
  "foreign-entries": "LogEntriesForeign",
  "log-full": "LogFull",
  "log-not-compared": "LogNotCompared",
  "log-suspended": "LogSuspended",
  "log-unavailable": "LogUnavailable",
  "log-unsafe": "LogUnsafe",
  "market-unavailable": "MarketUnavailable",
  "projector-age-unknown": "ProjectionAgeUnknown",
  "projector-behind": "ProjectionBehind",
  "projector-halted": "ProjectorHalted",
  "stage-age-unknown": "StageAgeUnknown",
  "stage-silent": "StageSilent",
  "stage-stuck": "StageStuck",
  "stage-without-worker": "StageWithoutWorker",
  "watcher-missing": "WatcherMissing",
};

export const ACTIONS = {
  "archive-unavailable": "Start Postgres. Orders are executed meanwhile; lists are stale.",
  "foreign-entries": "Find out who writes to the log; engine repair removes the entries.",
  "log-full": "Give the log's server more memory, or let open orders end.",
  "log-not-compared": "Start the projector and Postgres: the log is compared with the archive before anything is sent.",
  "log-suspended": "Run engine doctor: it names what suspended the log and how to mend it.",
  "log-unavailable": "Start the log's server, or restore its network. Orders are refused until then, and none is lost.",
  "log-unsafe": "Run engine doctor: a setting of the log's server may lose writes.",
  "market-unavailable": "Look at SOLANA_RPC_URL and the nodes.",
  "projector-age-unknown": "Look at the projector's log.",
  "projector-behind": "Look at the load of Postgres, and whether the projector runs.",
  "projector-halted": "Run engine audit verify, then engine repair.",
  "stage-age-unknown": "Look at the log's server: it does not tell how long orders wait.",
  "stage-silent": "Look at the stage's log; restart it if it hangs.",
  "stage-stuck": "Look at the stage's log for its oldest order.",
  "stage-without-worker": "Start a worker of the stage: engine stage NAME.",
  "watcher-missing": "Start the watcher: limit and sniper orders do not trigger.",
};
