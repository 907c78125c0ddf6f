"""Append: each order's facts, or none of them; what the log refused is settled another way.

Nothing here decides anything but how to go on when the log refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from events.log import AppendRequest, AppendResult, AppendStatus
from events.order import IMMEDIATE_TIFS
from events.types import Fact, OrderFailed, OrderParked
from stages.runtime.retry import after_expiry
from stages.runtime.work import Context, Decided, Named, PendingAppend, WorkItem

WRITTEN = (AppendStatus.CREATED, AppendStatus.EXISTS)
STOPPED = (AppendStatus.SUSPENDED, AppendStatus.HALTED)
UNVERIFIED = "the projector has not compared this log with the archive since its server started"
SUSPENDED_WAIT_MS = 1000
"""Between two tries to send while the log is suspended or halted."""

_log = structlog.get_logger()


class Written(NamedTuple):
    """What became of a group."""

    appended: list[PendingAppend]
    """In the log."""
    retry: list[Named]
    """Somebody else was there first: to be looked at again."""
    suspended: list[tuple[WorkItem, int]]
    """The log takes no sends now: to be tried again in so many ms."""


def encode(decided: Decided, ctx: Context) -> PendingAppend:
    """The facts as records. Raises where they cannot be encoded: a venue's absurd number, a bug."""
    work = decided.work
    return PendingAppend(
        work, ctx.log.new_events(work.head, work.order, decided.facts), decided.wait_ms
    )


async def append(appends: Sequence[PendingAppend], ctx: Context) -> Written:
    """Writes the facts, settles the shares and hands the orders on, each or not at all."""
    written = Written([], [], [])
    if not appends:
        return written
    results = await ctx.log.append([_unit(item, ctx) for item in appends])
    instead: list[tuple[WorkItem, Fact]] = []
    for pending, result in zip(appends, results, strict=True):
        work = pending.work
        if result.status in WRITTEN:
            written.appended.append(pending)
        elif (fact := _instead(work, result, ctx.stage.name)) is not None:
            instead.append((work, fact))
        elif result.status in (*STOPPED, AppendStatus.UNVERIFIED):
            written.suspended.append((work, SUSPENDED_WAIT_MS))
        else:
            _log.info("fenced", stage=ctx.stage.name, **work.log_context)
            written.retry.append((work.order_id, work.delivery))
    if any(append_result.status is AppendStatus.UNVERIFIED for append_result in results):
        _log.warning("nothing is sent: see /readyz", stage=ctx.stage.name, reason=UNVERIFIED)
    written.retry.extend(await _end(instead, ctx))
    return written


def _instead(work: WorkItem, result: AppendResult, stage: str) -> Fact | None:
    """The end of an order whose send was refused, where that is its end. Pure."""
    if result.status in STOPPED and work.order.time_in_force in IMMEDIATE_TIFS:
        return OrderFailed(stage, result.status.value, work.order.attempts + 1)
    if result.status is AppendStatus.LATE:  # its time was over on the server's clock
        return after_expiry(work.order, stage)
    return None


async def _end(ends: Sequence[tuple[WorkItem, Fact]], ctx: Context) -> list[Named]:
    """Appends these ends; the orders that somebody else has changed meanwhile."""
    if not ends:
        return []
    requests = [
        ctx.log.build_append_of(work.head, work.order, [fact], delivery=work.delivery)[0]
        for work, fact in ends
    ]
    results = await ctx.log.append(requests)
    pairs = list(zip(ends, results, strict=True))
    ctx.hands.settled(
        [w.delivery for (w, _), result in pairs if result.status is not AppendStatus.CONFLICT]
    )
    return [
        (w.order_id, w.delivery)
        for (w, _), result in pairs
        if result.status is AppendStatus.CONFLICT
    ]


def _unit(pending: PendingAppend, ctx: Context) -> AppendRequest:
    """An order that has no place in its head any more (a bug) is parked, it alone."""
    work = pending.work
    try:
        return ctx.log.build_append(
            work.head, work.order, pending.batch, delivery=work.delivery, wait_ms=pending.wait_ms
        )
    except Exception as error:
        _log.exception("order parked", stage=ctx.stage.name, **work.log_context)
        parked = OrderParked(ctx.stage.name, f"{type(error).__name__}: {error}"[:500], "engine")
        return ctx.log.build_append_of(work.head, work.order, [parked], delivery=work.delivery)[0]
