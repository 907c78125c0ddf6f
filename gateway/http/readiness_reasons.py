"""Why the engine is degraded or unavailable: a closed table of reasons.

Texts hold no running number, so that a reason that lasts stays the same text. Each reason has an
alert rule in deploy/prometheus/alerts.yml, which a test compares. Pure.
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


REASONS: Mapping[str, Row] = {
    "log-unavailable": Row("the log does not answer", "LogUnavailable"),
    "log-full": Row(
        "the log's server has used 80 % of its maxmemory; new orders are refused until it is raised"
        " (VALKEY_MAXMEMORY_MB for the embedded server), and open orders continue",
        "LogFull",
    ),
    "log-suspended": Row("the log accepts neither orders nor sends", "LogSuspended"),
    "log-unsafe": Row("the log's server may lose or refuse writes", "LogUnsafe"),
    "log-not-compared": Row(
        "nothing is sent: the log was not compared with the archive since its server started",
        "LogNotCompared",
    ),
    "foreign-entries": Row("entries stand in the log that it did not write", "LogEntriesForeign"),
    "archive-unavailable": Row("Postgres does not answer", "PostgresGone"),
    "projector-halted": Row("the projector stopped for an operator", "ProjectorHalted"),
    "projector-behind": Row("lists and archive are behind", "ProjectionBehind"),
    "projector-age-unknown": Row(
        "lists and archive are behind, and it is not known for how long", "ProjectionAgeUnknown"
    ),
    "stage-without-worker": Row("no worker of it runs", "StageWithoutWorker"),
    "stage-silent": Row("its workers have been silent", "StageSilent"),
    "stage-stuck": Row("its oldest order has not moved", "StageStuck"),
    "stage-age-unknown": Row(
        "orders wait for it, and it is not known for how long", "StageAgeUnknown"
    ),
    "watcher-missing": Row("no worker follows prices and pools", "WatcherMissing"),
    "market-unavailable": Row("no venue can be asked", "MarketUnavailable"),
}


def reason(code: str, text: str = "") -> Reason:
    """The reason of a code. `text`: what is known beyond the table."""
    return Reason(code, text or REASONS[code].text)
