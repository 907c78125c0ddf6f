"""Admit: ends expired orders, and delays those that are not due or exceed the rate limit."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from events.order import Order, may_still_land, retry_reason
from events.order.wait_reasons import WaitReason
from stages.runtime.load import persist
from stages.runtime.retry import RetryPolicy, after_expiry
from stages.runtime.settle import wait
from stages.runtime.work import Answered, Context, Decided, Wait, WorkItem


class Turn(Enum):
    """Whether an order is due or has expired."""

    DUE = "due"
    EXPIRED = "expired"


class Turns(NamedTuple):
    """The orders of a group, by what is done with them now."""

    due: list[WorkItem]
    expired: list[Decided]
    early: list[Wait]


def decide_turn(order: Order, retry: RetryPolicy, now_us: int) -> Turn | int:
    """Whether an order is due or has expired, or in how many ms it is due. Pure.

    A wait longer than the policy's longest means that a clock was set back, or that another
    machine's differs: the due-set, which delivered the order, uses the server's clock.
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
    """The orders of a group, by `decide_turn`. Pure."""
    turns = Turns([], [], [])
    for work in group:
        turn = decide_turn(work.order, retry, now_us)
        if turn is Turn.DUE:
            turns.due.append(work)
        elif turn is Turn.EXPIRED:
            turns.expired.append(Decided(work, [after_expiry(work.order, stage)]))
        else:
            turns.early.append(Wait(work, turn, retry_reason(work.order)))
    return turns


async def pace(group: list[WorkItem], ctx: Context) -> list[WorkItem]:
    """The orders that may start under ORDERS_PER_MINUTE; the others wait in the due-set."""
    starts = ctx.starts
    if starts is None:
        return group
    fresh = [work for work in group if ctx.stage.begin(work.order) is not None]
    # The same order may be there twice, once as it was before: that one waits alone.
    begun = [work for work in group if ctx.stage.begin(work.order) is None]
    waits = dict.fromkeys((work.order_id for work in fresh), 0)

    async def admitted() -> None:
        waits.update(await starts.admit(list(waits)))

    if fresh:
        await persist(admitted)
    late = [work for work in fresh if waits[work.order_id]]
    await wait([Wait(work, waits[work.order_id], WaitReason.PACING) for work in late], ctx)
    return [*begun, *(work for work in fresh if not waits[work.order_id])]


async def starts_to_wait(group: Sequence[WorkItem], ctx: Context) -> dict[str, int]:
    """Which orders may not start yet although they were admitted, and the ms of each: the answer
    came late, and the limit was reached meanwhile. The others have started, for the limit.
    """
    starts = ctx.starts
    if starts is None:
        return {}
    fresh = [work.order_id for work in group if ctx.stage.begin(work.order) is not None]
    waits: dict[str, int] = {}

    async def confirmed() -> None:
        waits.update(await starts.confirm(fresh))

    if fresh:
        await persist(confirmed)
    return {order_id: wait_ms for order_id, wait_ms in waits.items() if wait_ms}


async def confirm_starts(group: Sequence[Answered], ctx: Context) -> Sequence[Answered]:
    """The orders whose start may be written now; the others are moved to the due-set."""
    waits = await starts_to_wait([answered.work for answered in group], ctx)
    if not waits:
        return group
    late = [answered.work for answered in group if answered.work.order_id in waits]
    await wait([Wait(work, waits[work.order_id], WaitReason.PACING) for work in late], ctx)
    return [answered for answered in group if answered.work.order_id not in waits]
