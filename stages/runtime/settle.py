"""Settle: what leaves our hands without an event: settled, waiting, set aside, unreadable."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from events.log import Unit, settle_only
from events.order import may_still_land
from stages.runtime.append import Written
from stages.runtime.claim import Claimed, Unreadable
from stages.runtime.load import persist
from stages.runtime.quarantine import is_intact, park_unreadable
from stages.runtime.work import Context, Work, about

_log = structlog.get_logger()


async def settle_written(written: Written, ctx: Context) -> None:
    """The shares of what is in the log were settled by the append itself; the rest waits."""
    ctx.hands.settled([saying.work.share for saying in written.done])
    if any(saying.wait_ms for saying in written.done):
        ctx.hands.waiting()
    await wait(written.suspended, ctx)


async def settle_others(claimed: Claimed, ctx: Context) -> None:
    """What this stage does not owe, and what it cannot read."""
    for unreadable in claimed.unreadable:
        await _quarantine(unreadable, ctx)
    if claimed.gone:
        await _set_aside(claimed.gone, ctx)
    if claimed.others:
        await _settle([settle_only(order_id, share) for order_id, share in claimed.others], ctx)


async def wait(waits: Sequence[tuple[Work, int]], ctx: Context) -> None:
    """Moves orders to the due-set for so many ms, none further than to its expiry."""
    if not waits:
        return
    now_us = time.time_ns() // 1000
    units = []
    for work, ms in waits:
        expires = work.order.expires_at_us
        bound = ms
        if expires is not None and not may_still_land(work.order):
            bound = min(ms, max(1, (expires - now_us) // 1000 + 1))
        units.append(settle_only(work.order_id, work.share, wait_ms=bound))
    await _settle(units, ctx)
    ctx.hands.waiting()


async def _quarantine(one: Unreadable, ctx: Context) -> None:
    """Parks an order of which only the fixed part of its head can be read, or none of it."""
    order_id, share = one.named
    stage = ctx.stage.name
    if not await is_intact(ctx.log, order_id, one.head):
        await _set_aside([order_id], ctx)
        await _settle([settle_only(order_id, share)], ctx)
        return
    _log.error("order parked", stage=stage, error=str(one.error), **about(order_id, one.head))
    unit = await park_unreadable(ctx.log, stage, order_id, one.head, share, one.error)
    await _settle([unit], ctx)


async def _set_aside(order_ids: Sequence[str], ctx: Context) -> None:
    """Lists orders as parked that are open and have no head, or a damaged one: nothing can be
    written about them before a repair. Others go on.
    """
    found: list[str] = []

    async def listed() -> None:
        found[:] = await ctx.log.open_among(order_ids)
        await ctx.log.set_aside(found)

    await persist(ctx.stage.name, listed)
    for order_id in found:
        _log.error("head damaged", stage=ctx.stage.name, order_id=order_id, mend="engine repair")


async def _settle(units: Sequence[Unit], ctx: Context) -> None:
    await ctx.log.append(units)
    ctx.hands.settled([unit.share for unit in units if unit.share is not None])
