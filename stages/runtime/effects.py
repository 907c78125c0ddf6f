"""Effects: what follows an append. Starts are counted, and the stage's `after` runs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from events.order import Order, may_still_land
from stages.runtime.load import persist
from stages.runtime.stage import After
from stages.runtime.work import Context, PendingAppend


async def effects(done: Sequence[PendingAppend], ctx: Context) -> None:
    """Runs the effects of appended facts."""
    await started(
        [
            pending.work.order_id
            for pending in done
            if pending.batch.events[0].fact == ctx.stage.begin(pending.work.order)
        ]
        if ctx.stage.paced
        else [],
        ctx,
    )
    await send([pending.batch.order for pending in done], ctx)


async def started(order_ids: Sequence[str], ctx: Context) -> None:
    """Counts starts for ORDERS_PER_MINUTE. Its window begins here and is never too short."""
    if order_ids and ctx.stage.paced and ctx.limits.orders_per_minute:
        await persist(lambda: ctx.limits.started(order_ids))


async def send(orders: Sequence[Order], ctx: Context) -> None:
    """Runs the stage's `after` for the orders that may have been sent."""
    after = ctx.stage.after
    if after is None and ctx.fused:
        after = ctx.fused["submitter"].after
    if after is None:
        return
    crossed = [order for order in orders if may_still_land(order)]
    if crossed and ctx.one_by_one:
        await _timed(after, crossed, ctx)
    elif crossed:
        ctx.in_flight.spawn(_timed(after, crossed, ctx))


async def _timed(after: After, orders: Sequence[Order], ctx: Context) -> None:
    # Called in the task: one that is cancelled before its first step has sent nothing.
    began = time.perf_counter()
    await after(orders)
    ctx.venue.observe(time.perf_counter() - began)
