"""Effects: what follows an append. The stage's `after` runs, such as the send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from events.order import Order, may_still_land
from stages.runtime.stage import After
from stages.runtime.work import Context, PendingAppend


def effects(done: Sequence[PendingAppend], ctx: Context) -> None:
    """Runs the stage's `after` for the orders that may have been sent, in a task of its own."""
    after = ctx.stage.after
    if after is None and ctx.fused:
        after = ctx.fused["submitter"].after
    if after is None:
        return
    orders = [pending.batch.order for pending in done]
    crossed = [order for order in orders if may_still_land(order)]
    if crossed:
        sending = ctx.in_flight.spawn(_timed(after, crossed, ctx))
        hold_permits(sending, [order.id for order in crossed], ctx)


def hold_permits(task: asyncio.Task[None], order_ids: Sequence[str], ctx: Context) -> None:
    """The permits of these orders are held until the task has ended, however it ends."""
    permits = ctx.permits
    if permits is not None:
        permits.retain(order_ids)
        task.add_done_callback(lambda _: permits.release(order_ids))


async def _timed(after: After, orders: Sequence[Order], ctx: Context) -> None:
    # Called in the task: one that is cancelled before its first step has sent nothing.
    began = time.perf_counter()
    await after(orders)
    ctx.venue.observe(time.perf_counter() - began)
