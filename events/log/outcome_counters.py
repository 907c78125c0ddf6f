"""Metrics of appends, counted by the process that wrote the events."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from events.log.append_request import AppendRequest, AppendResult, Note
from events.log.head import STAGE_NUMBER
from events.metrics import ACCEPTED, DOUBTS, LONG_BUCKETS_S, ORDERS, PARKED, STAGE, WRITES
from events.telemetry.server_clock import now_us as server_now_us
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

OUTCOME_COUNTERS: dict[type[Fact], Note] = {
    OrderSubmitted: (ACCEPTED.counts, ""),
    OrderConfirmed: (ORDERS.counts, Status.CONFIRMED.value),
    OrderFailed: (ORDERS.counts, Status.FAILED.value),
    OrderExpired: (ORDERS.counts, Status.EXPIRED.value),
    OrderCancelled: (ORDERS.counts, Status.CANCELLED.value),
    OrderParked: (PARKED.counts, ""),
    TransactionInDoubt: (DOUBTS.counts, ""),
}
"""The last fact of a unit -> the counter that it increments."""

_WRITES = WRITES.counts
_SPREADS = {number: STAGE.of(stage) for stage, number in STAGE_NUMBER.items()}


def tally(requests: Sequence[AppendRequest], answers: Sequence[AppendResult]) -> None:
    """Counts the results of an append call.

    It runs several times an order and takes whole µs, so it avoids allocations and calls.
    """
    now_s = server_now_us() / 1e6
    written = 0
    for request, answer in zip(requests, answers):  # noqa: B905 - one answer a unit: the log's promise
        if not request.events:
            continue
        if not answer.position:
            WRITES.add(answer.status.value)
            continue
        # `exists` counts too: an earlier call of this process wrote it and lost the reply.
        written += 1
        note = request.note
        if note is not None:
            note[0][note[1]] += 1
        histogram = _SPREADS.get(request.stage)
        if histogram is not None:
            took_s = now_s - request.since_us / 1e6
            histogram.counts[bisect_left(LONG_BUCKETS_S, took_s)] += 1
            histogram.total += took_s
    if written:
        _WRITES["created"] += written
