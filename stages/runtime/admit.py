"""Admit: whose turn it is. What expired ends; what is not due, or over the rate limit, waits."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from events.order import Order, may_still_land
from stages.runtime.load import persist
from stages.runtime.retry import RetryPolicy, after_expiry
from stages.runtime.settle import wait
from stages.runtime.work import Context, Decided, WorkItem


class Turn(Enum):
    """What an order's times say of it now."""

    DUE = "due"
    EXPIRED = "expired"


class Turns(NamedTuple):
    """A group by whose turn it is."""

    due: list[WorkItem]
    expired: list[Decided]
    early: list[tuple[WorkItem, int]]
    """Not due for so many ms."""


def decide_turn(order: Order, retry: RetryPolicy, now_us: int) -> Turn | int:
    """Whether it is the order's turn, or in how many ms it is. Pure.

    A wait longer than any is a clock that was set back, or another machine's: the due-set, which
    handed the order over, goes by the server's.
    """
    expires = order.expires_at_us
    if may_still_land(order):
        return Turn.DUE
    if expires is not None and now_us >= expires:
        return Turn.EXPIRED
    if 0 < (wait_us := order.next_attempt_at_us - now_us) <= retry.max_ms * 1000:
        return wait_us // 1000 + 1
    return Turn.DUE


def sort_turns(group: Sequence[WorkItem], stage: str, retry: RetryPolicy, now_us: int) -> Turns:
    """Pure."""
    turns = Turns([], [], [])
    for work in group:
        turn = decide_turn(work.order, retry, now_us)
        if turn is Turn.DUE:
            turns.due.append(work)
        elif turn is Turn.EXPIRED:
            turns.expired.append(Decided(work, [after_expiry(work.order, stage)]))
        else:
            turns.early.append((work, turn))
    return turns


async def pace(group: list[WorkItem], ctx: Context) -> list[WorkItem]:
    """Those whose turn has come under ORDERS_PER_MINUTE; the others wait in the due-set."""
    if not ctx.stage.paced:
        return group
    fresh = [work for work in group if ctx.stage.begin(work.order) is not None]
    # The same order may be there twice, once as it was before: that one waits alone.
    begun = [work for work in group if ctx.stage.begin(work.order) is None]
    waits = dict.fromkeys((work.order_id for work in fresh), 0)

    async def admitted() -> None:
        waits.update(await ctx.limits.admit(list(waits)))

    if fresh and ctx.limits.orders_per_minute:
        await persist(ctx.stage.name, admitted)
    await wait([(work, waits[work.order_id]) for work in fresh if waits[work.order_id]], ctx)
    return [*begun, *(work for work in fresh if not waits[work.order_id])]
