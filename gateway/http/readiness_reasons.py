"""Why the engine is degraded or unavailable: a closed table of reasons.

Texts hold no running number, so that a reason that lasts stays the same text. Each reason has an
alert rule in deploy/prometheus/alerts.yml, which a test compares. `engine docs --write` generates
gateway/static/readiness.js and the table in docs/reference/errors.md. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Reason(NamedTuple):
    """One active reason."""

    code: str
    text: str
    """The text of the table, or what a backend answered."""


class Row(NamedTuple):
    """One reason of the table."""

    text: str
    alert: str
    """The alert rule that fires for it."""
    action: str
    """What an operator does about it."""


REASONS: Mapping[str, Row] = {
    "log-unavailable": Row(
        "the log does not answer",
        "LogUnavailable",
        "Start the log's server, or restore its network. Orders are refused until then, and none"
        " is lost.",
    ),
    "log-full": Row(
        "the log's server has used 80 % of its maxmemory; new orders are refused until it is"
        " raised (VALKEY_MAXMEMORY_MB for the embedded server), and open orders continue",
        "LogFull",
        "Give the log's server more memory, or let open orders end.",
    ),
    "log-suspended": Row(
        "the log accepts neither orders nor sends",
        "LogSuspended",
        "Run `engine doctor`: it names what suspended the log and how to mend it.",
    ),
    "log-unsafe": Row(
        "the log's server may lose or refuse writes",
        "LogUnsafe",
        "Run `engine doctor`: a setting of the log's server may lose writes.",
    ),
    "log-not-compared": Row(
        "nothing is sent: the log was not compared with the archive since its server started",
        "LogNotCompared",
        "Start the projector and Postgres: the log is compared with the archive before anything is"
        " sent.",
    ),
    "foreign-entries": Row(
        "entries stand in the log that it did not write",
        "LogEntriesForeign",
        "Find out who writes to the log; `engine repair` removes the entries.",
    ),
    "head-damaged": Row(
        "the head of an open order is not what its events add up to",
        "HeadDamaged",
        "Run `engine repair`: it rewrites the head from the order's events. Other orders continue.",
    ),
    "process-hung": Row(
        "a process exists and shows no life, or its host is lost",
        "ProcessHung",
        "End it on its host (`kill -9`), and start another; `engine up` does so for its own."
        " That of a lost host is named until the log's server drops its connections"
        " (`tcp-keepalive`).",
    ),
    "archive-unavailable": Row(
        "Postgres does not answer",
        "PostgresGone",
        "Start Postgres. Orders are executed meanwhile; lists are stale.",
    ),
    "projector-halted": Row(
        "the projector stopped for an operator",
        "ProjectorHalted",
        "Run `engine audit verify`, then `engine repair`.",
    ),
    "projector-behind": Row(
        "lists and archive are behind",
        "ProjectionBehind",
        "Look at the load of Postgres, and whether the projector runs.",
    ),
    "projector-age-unknown": Row(
        "lists and archive are behind, and it is not known for how long",
        "ProjectionAgeUnknown",
        "Look at the projector's log.",
    ),
    "stage-without-worker": Row(
        "no worker of it runs",
        "StageWithoutWorker",
        "Start a worker of the stage: `engine stage NAME`.",
    ),
    "stage-silent": Row(
        "its workers have been silent",
        "StageSilent",
        "Look at the stage's log; restart it if it hangs.",
    ),
    "stage-stuck": Row(
        "its oldest order has not moved",
        "StageStuck",
        "Look at the stage's log for its oldest order.",
    ),
    "stage-age-unknown": Row(
        "orders wait for it, and it is not known for how long",
        "StageAgeUnknown",
        "Look at the log's server: it does not tell how long orders wait.",
    ),
    "watcher-missing": Row(
        "no worker follows prices and pools",
        "WatcherMissing",
        "Start the watcher: limit and sniper orders do not trigger.",
    ),
    "market-unavailable": Row(
        "no venue can be asked",
        "MarketUnavailable",
        "Look at `SOLANA_RPC_URL` and the nodes.",
    ),
}


def reason(code: str, text: str = "") -> Reason:
    """The reason of a code. `text`: what is known beyond the table."""
    return Reason(code, text or REASONS[code].text)
