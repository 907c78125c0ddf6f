"""Append: each order's facts, or none of them; what the log refused is settled another way.

Nothing here decides anything but how to go on when the log refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from events.log import Appended, Result, Unit
from events.order import AT_ONCE
from events.types import Fact, OrderFailed, OrderParked
from stages.runtime.retry import after_expiry
from stages.runtime.work import Context, Decided, Named, Saying, Work

WRITTEN = (Result.CREATED, Result.EXISTS)
STOPPED = (Result.SUSPENDED, Result.HALTED)
UNVERIFIED = "the projector has not compared this log with the archive since its server started"
SUSPENDED_WAIT_MS = 1000
"""Between two tries to send while the log is suspended or halted."""

_log = structlog.get_logger()


class Written(NamedTuple):
    """What became of a group."""

    done: list[Saying]
    """In the log."""
    again: list[Named]
    """Somebody else was there first: to be looked at again."""
    suspended: list[tuple[Work, int]]
    """The log takes no sends now: to be tried again in so many ms."""


def encode(decided: Decided, ctx: Context) -> Saying:
    """The facts as records. Raises where they cannot be encoded: a venue's absurd number, a bug."""
    work = decided.work
    return Saying(work, ctx.log.say(work.head, work.order, decided.facts), decided.wait_ms)


async def append(said: Sequence[Saying], ctx: Context) -> Written:
    """Writes the facts, settles the shares and hands the orders on, each or not at all."""
    written = Written([], [], [])
    if not said:
        return written
    results = await ctx.log.append([_unit(saying, ctx) for saying in said])
    instead: list[tuple[Work, Fact]] = []
    for saying, appended in zip(said, results, strict=True):
        work = saying.work
        if appended.result in WRITTEN:
            written.done.append(saying)
        elif (fact := _instead(work, appended, ctx.stage.name)) is not None:
            instead.append((work, fact))
        elif appended.result in (*STOPPED, Result.UNVERIFIED):
            written.suspended.append((work, SUSPENDED_WAIT_MS))
        else:
            _log.info("fenced", stage=ctx.stage.name, **work.named)
            written.again.append((work.order_id, work.share))
    if any(appended.result is Result.UNVERIFIED for appended in results):
        _log.warning("nothing is sent: see /readyz", stage=ctx.stage.name, reason=UNVERIFIED)
    written.again.extend(await _end(instead, ctx))
    return written


def _instead(work: Work, appended: Appended, stage: str) -> Fact | None:
    """The end of an order whose send was refused, where that is its end. Pure."""
    if appended.result in STOPPED and work.order.time_in_force in AT_ONCE:
        return OrderFailed(stage, appended.result.value, work.order.attempts + 1)
    if appended.result is Result.LATE:  # its time was over on the server's clock
        return after_expiry(work.order, stage)
    return None


async def _end(ends: Sequence[tuple[Work, Fact]], ctx: Context) -> list[Named]:
    """Appends these ends; the orders that somebody else has changed meanwhile."""
    if not ends:
        return []
    units = [
        ctx.log.unit(work.head, work.order, [fact], share=work.share)[0] for work, fact in ends
    ]
    results = await ctx.log.append(units)
    pairs = list(zip(ends, results, strict=True))
    ctx.hands.settled([w.share for (w, _), one in pairs if one.result is not Result.CONFLICT])
    return [(w.order_id, w.share) for (w, _), one in pairs if one.result is Result.CONFLICT]


def _unit(saying: Saying, ctx: Context) -> Unit:
    """An order that has no place in its head any more (a bug) is parked, it alone."""
    work = saying.work
    try:
        return ctx.log.unit_of(
            work.head, work.order, saying.said, share=work.share, wait_ms=saying.wait_ms
        )
    except Exception as error:
        _log.exception("order parked", stage=ctx.stage.name, **work.named)
        parked = OrderParked(ctx.stage.name, f"{type(error).__name__}: {error}"[:500], "engine")
        return ctx.log.unit(work.head, work.order, [parked], share=work.share)[0]
