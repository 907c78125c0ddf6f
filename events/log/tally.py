"""Counts what was written, by those who wrote it: one look at each answer of an append call."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence

from events.log.head import STAGE_NUMBER
from events.log.units import Appended, Note, Unit
from events.metrics import ACCEPTED, DOUBTS, ORDERS, PARKED, PATIENT_S, STAGE, WRITES
from events.types import (
    Fact,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderFailed,
    OrderParked,
    OrderSubmitted,
    Status,
    TransactionInDoubt,
)

NOTES: dict[type[Fact], Note] = {
    OrderSubmitted: (ACCEPTED.counts, ""),
    OrderConfirmed: (ORDERS.counts, Status.CONFIRMED.value),
    OrderFailed: (ORDERS.counts, Status.FAILED.value),
    OrderExpired: (ORDERS.counts, Status.EXPIRED.value),
    OrderCancelled: (ORDERS.counts, Status.CANCELLED.value),
    OrderParked: (PARKED.counts, ""),
    TransactionInDoubt: (DOUBTS.counts, ""),
}
"""By the last fact of the unit."""

_WRITES = WRITES.counts
_SPREADS = {number: STAGE.of(stage) for stage, number in STAGE_NUMBER.items()}


def tally(units: Sequence[Unit], answers: Sequence[Appended]) -> None:
    """Every order pays for this, several times: whole µs, nothing made, nothing called in vain."""
    now_s = time.time()
    written = 0
    for unit, answer in zip(units, answers):  # noqa: B905 - one answer a unit: the log's promise
        if not unit.events:
            continue
        if not answer.position:
            WRITES.add(answer.result.value)
            continue
        # One that `exists` is ours too: the answer of the call that wrote it was lost.
        written += 1
        note = unit.note
        if note is not None:
            note[0][note[1]] += 1
        spread = _SPREADS.get(unit.said_by)
        if spread is not None:
            took_s = now_s - unit.since_us / 1e6
            spread.counts[bisect_left(PATIENT_S, took_s)] += 1
            spread.total += took_s
    if written:
        _WRITES["created"] += written
