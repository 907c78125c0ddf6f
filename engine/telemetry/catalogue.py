"""Every event that a process logs: its level and its meaning.

docs/reference/logs.md is made from this table, and `tests/unit/engine/test_log_catalogue.py` holds
each call of a logger against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Line(NamedTuple):
    """One event."""

    level: str
    """Empty: as the program or library that wrote it."""
    meaning: str


LEVELS: Mapping[str, str] = {
    "debug": "The course of single orders and requests, and routine of other programs",
    "info": "A change of state that is as it should be, or a single failed attempt",
    "warning": "The engine works around a fault; look into it if it stays",
    "error": "An order or a part of the engine does not continue before an operator acts",
    "critical": "The process ends",
}

LINES: Mapping[str, Mapping[str, Line]] = {
    "Processes": {
        "process_started": Line("info", "A process begins; `pid`, `version`"),
        "setting_without_effect": Line("warning", "A part of a setting is not used; `detail`"),
        "process_ready": Line("info", "It works; for `up`: a POST would succeed, at `url`"),
        "process_stopping": Line("info", "It was asked to stop, and ends its work"),
        "process_stopped": Line("info", "It has ended as asked"),
        "process_stop_overdue": Line("warning", "Its work did not end within `patience_s`"),
        "process_start_retried": Line("info", "It ended during the start of `engine up`: `error`"),
        "process_restarted": Line(
            "warning",
            "It died with `error` and runs again in `pause_s`; `deaths` in a row. From the second"
            " on, the lines of each start are in its file only",
        ),
        "process_recovered": Line("info", "It runs steadily after `deaths` in a row"),
        "process_unreachable": Line(
            "warning", "Its socket or lock was removed; it is ended in good order and restarted"
        ),
        "process_hung": Line(
            "warning",
            "It gave no sign of life, or no answer, for `silent_s` and is ended; `stacks`",
        ),
        "process_killed": Line("warning", "It did not stop in time and was killed"),
        "process_failed": Line("critical", "It cannot start or continue; `error` says why"),
        "process_output": Line("", "Text of a program that does not log JSON: `text`"),
        "exception_uncaught": Line("critical", "A bug ends the process; `exception`"),
        "exception_ignored": Line("warning", "Python ignored a bug of a destructor, `where`"),
        "library_message": Line("", "A message of a library, `logger`: `text`"),
        "engine_start_delayed": Line(
            "warning", "`engine up` still waits, for `waiting_for` or for the `reason` of /readyz"
        ),
        "metrics_port_unavailable": Line(
            "warning", "METRICS_PORT is taken: no metrics until it is free"
        ),
        "metrics_port_opened": Line("info", "METRICS_PORT is free now, and served"),
    },
    "Engine": {
        "engine_halted": Line("warning", "An operator halted sends and triggers; once a gateway"),
        "engine_resumed": Line("info", "The halt is over"),
        "orders_refused": Line("error", "All new orders are refused from now on; `reason`"),
        "orders_accepted_again": Line("info", "New orders are accepted again"),
        "readiness_reason_begun": Line(
            "warning",
            "/readyz gives a reason (`code`) for a `part`; those of the log refuse orders",
        ),
        "readiness_reason_over": Line("info", "It no longer does, after `duration_s`"),
        "readiness_look_failed": Line(
            "error", "A bug keeps /readyz from knowing a `part`: processes, heads, reasons; `error`"
        ),
        "backend_outage_begun": Line(
            "warning", "`backend` (log, archive, node, collector) does not answer; not per retry"
        ),
        "backend_outage_over": Line("info", "It answers again, after `duration_s`"),
        "clock_skewed": Line(
            "warning", "This clock is `ahead_s` ahead of the log server's, which judges orders"
        ),
        "clock_agrees": Line("info", "The two clocks agree again"),
        "consumer_fenced": Line("error", "The log is of another epoch; nothing was written"),
        "sends_suspended": Line("warning", "Nothing is sent until the log is verified"),
    },
    "Orders": {
        "order_accepted": Line("debug", "A POST is in the log; `account`, with its `request_id`"),
        "order_cancelled": Line("debug", "A request cancelled the order; `actor`, `request_id`"),
        "order_confirmed": Line("debug", "The transaction `signature` is confirmed"),
        "order_expired": Line("debug", "The order's time is over"),
        "order_failed": Line("info", "The order failed; `reason` is in the failure reasons"),
        "order_parked": Line("error", "The engine cannot continue the order; see `engine parked`"),
        "transaction_in_doubt": Line("warning", "The outcome of `signature` cannot be determined"),
        "doubt_over": Line("info", "The outcome is determined; `status`"),
        "parked_order_ended": Line(
            "info", "An operator's `act` (requeue, discard, settle) is done"
        ),
        "order_step_failed": Line("error", "A bug met an order, which is parked; `exception`"),
        "order_head_damaged": Line("error", "The order's head cannot be read: `engine repair`"),
        "version_conflict": Line("debug", "Another writer, such as a cancel, was faster"),
        "stage_not_fused": Line("debug", "A stage runs in an append of its own; `error`"),
        "stage_task_failed": Line("error", "A bug met a task of a stage; `exception`"),
        "inbox_entry_split": Line("warning", "An entry loses its workers; its orders go alone"),
        "inbox_not_returned": Line("warning", "Orders in hand are retried after their lease"),
        "lease_lost": Line("warning", "Another worker took an entry over: this one was too slow"),
        "trigger_books_rebuilt": Line("error", "A bug met the watcher, which begins again"),
    },
    "HTTP": {
        "open_files_low": Line(
            "warning",
            "The limit of `open_files` allows `streams` sockets and event streams, fewer than"
            " SOCKETS_MAX",
        ),
        "idle_connections_closed": Line(
            "warning", "Above `limit` connections, the longest idle were closed; `closed` since"
        ),
        "streams_refused": Line(
            "warning", "As many sockets and event streams are `open` as may be; more are refused"
        ),
        "http_request": Line("info", "An answered request; with `ACCESS_LOG=1` only"),
        "price_sample_failed": Line("error", "A bug met a sample of prices: a gap of its chart"),
        "request_failed": Line("error", "A bug met a request, answered with 500; `exception`"),
        "stream_failed": Line("error", "A bug met an event stream, which is closed"),
        "websocket_failed": Line("error", "A bug met a WebSocket, which is closed"),
        "subscription_failed": Line("error", "A bug met a subscription; its socket is closed"),
        "feed_restarted": Line("error", "A bug met the feed, which continues at `position`"),
    },
    "Log and archive": {
        "log_awaited": Line("info", "At a start: the log cannot be opened yet"),
        "log_opened": Line("info", "The log is open after a wait"),
        "log_unusable": Line("error", "The server's settings do not allow the log; `error`"),
        "log_entry_refused": Line("error", "An entry does not continue the log: not archived"),
        "idempotency_names_skipped": Line("warning", "Names of an unreadable order are not kept"),
        "archive_migrated": Line("info", "A migration of Postgres was applied"),
        "checkpoint_moved": Line("info", "Another projector wrote; this one reads again"),
        "projector_halted": Line("error", "Projecting stops; `reason` says what to do"),
        "projector_halt_unrecorded": Line("warning", "The halt cannot be written to Postgres"),
        "projection_parked": Line("error", "An event cannot be folded; its order is left out"),
        "chunk_refused": Line("error", "Postgres refuses events; they are written one by one"),
        "chunk_unencodable": Line("error", "Events cannot be encoded; they go one by one"),
    },
    "Solana": {
        "send_failed": Line("warning", "A first send failed; the confirmer sends again"),
        "sends_incomplete": Line("info", "Some transactions of a send were not taken"),
        "rebroadcast_failed": Line("debug", "One repeated send failed; the next one follows"),
        "outcome_unanswered": Line("info", "A question for an outcome was not answered"),
        "outcome_unknown": Line("info", "The nodes do not know an outcome yet"),
        "amounts_unread": Line("warning", "The amounts of a transaction cannot be read"),
        "chain_unavailable": Line("debug", "The watcher could not read the chain in this turn"),
        "node_rejected": Line("error", "A node is not used, such as one of another cluster"),
        "node_of_another_chain": Line("error", "A node answered for another chain than before"),
        "node_method_unserved": Line("warning", "A node does not serve a method, which rests"),
        "node_method_served": Line("info", "It serves the method again"),
        "node_batch_reduced": Line("warning", "A node takes fewer items a call"),
        "refusal_contradicted": Line("info", "A node refused what another one served"),
        "method_unserved": Line("warning", "No node serves a method that the engine needs"),
        "commitment_unsupported": Line("warning", "No `confirmed` here: `finalized` is used"),
        "consensus_detected": Line("info", "The consensus of the cluster"),
        "consensus_unread": Line("info", "The consensus could not be read in this attempt"),
        "features_unread": Line("warning", "The cluster's features cannot be read"),
        "transaction_version_detected": Line("info", "The version that the cluster takes"),
        "transaction_version_refused": Line("warning", "The nodes refuse the version"),
        "transaction_version_accepted": Line("info", "The version is accepted again"),
        "finalized_height_unread": Line("info", "The height was not read in this attempt"),
        "performance_samples_unread": Line("info", "The slot time is measured by its slots"),
        "slot_unread": Line("info", "The slot was not read in this attempt"),
        "rent_unread": Line("warning", "The rent is not read; its upper bound is used"),
        "accounts_not_measured": Line("warning", "The size of loaded accounts is not limited"),
        "wallet_balance_unread": Line("info", "The SOL of SOLANA_WALLET was not read"),
        "wallet_accounts_unread": Line("info", "The accounts of the wallet were not read"),
        "blockhash_unread": Line("debug", "No blockhash was fetched ahead"),
        "simulation_beside_failed": Line(
            "info", "A simulation beside the send failed: the next of its kind comes before one"
        ),
        "consumption_unread": Line("info", "A measurement of another process was not readable"),
        "consumption_not_shared": Line("debug", "The measurements of compute units are not shared"),
        "reader_failed": Line("error", "A bug met a reader of the chain, which begins again"),
        "pool_reads_failed": Line("warning", "Pool accounts cannot be read: no quotes"),
        "pool_reads_resumed": Line("info", "Pool accounts are read again"),
        "pool_not_quoted": Line("warning", "A pool is left out of quotes; `reason`"),
        "pool_account_absent": Line("debug", "A pool does not exist yet"),
        "pool_without_price": Line("debug", "A pool has no price now"),
        "localnet_call_failed": Line("warning", "The local chain met a bug in a call"),
        "localnet_program_panicked": Line("warning", "A program of the local chain panicked"),
    },
    "Traces": {
        "spans_dropped": Line("warning", "A collector refused spans permanently; `cause`"),
        "traces_skipped": Line("warning", "The tracer is too far behind and skips events"),
    },
}

_HEAD = """\
# Log events

One JSON object a line: `event`, `level`, `timestamp` (UTC), `process`, and the fields of the event.
Lines about an order carry `order_id` and `trace_id`, lines of a request `request_id`.
`error` is text: the type and the message.
[Observability](../guide/observability.md#logs) has the files and how to read them.

Made by `engine docs --write`.
"""


def by_name() -> dict[str, Line]:
    """Returns every event."""
    return {name: line for lines in LINES.values() for name, line in lines.items()}


def markdown() -> str:
    """Returns docs/reference/logs.md."""
    parts = [_HEAD, "## Levels\n", "| `level` | meaning |", "|---|---|"]
    parts += [f"| `{level}` | {meaning} |" for level, meaning in LEVELS.items()]
    for title, lines in LINES.items():
        parts += ["", f"## {title}\n", "| `event` | `level` | meaning |", "|---|---|---|"]
        parts += [
            f"| `{name}` | {f'`{line.level}`' if line.level else 'as written'} | {line.meaning} |"
            for name, line in lines.items()
        ]
    return "\n".join(parts) + "\n"
