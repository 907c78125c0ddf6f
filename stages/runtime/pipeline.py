"""The pipeline of every stage, from the delivery by an inbox to its ack. Reads from the top down.

    load → claim → admit → ask → decide → fuse → append → effects → settle

Each step is a function in the file of its name; `claim`, `decide` and the choice in `admit` are
pure. The unit of work is a group of orders: those of one inbox read, or a single order that waits
for a permit or has a slow answer. Groups are independent: a slow order does not delay the others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import structlog

from events.log import InboxMessage, OrderHead
from events.order import may_still_land
from events.order.wait_reasons import WaitReason
from events.telemetry.server_clock import now_us as server_now_us
from events.types import OrderParked
from stages.limits.permits import Permits
from stages.runtime.admit import confirm_starts, pace, sort_turns
from stages.runtime.append import append, encode
from stages.runtime.ask import ask, dropping, receive
from stages.runtime.claim import claim
from stages.runtime.decide import Fault, decide
from stages.runtime.effects import effects, hold_permits
from stages.runtime.fusion import fuse
from stages.runtime.load import load, persist, sort_delivery
from stages.runtime.settle import settle_others, settle_written, wait
from stages.runtime.work import (
    Answered,
    Context,
    Decided,
    OrderDelivery,
    Pending,
    PendingAppend,
    Wait,
    WorkItem,
)

GROUP_MAX = 256
"""Orders that are loaded, asked about and appended together, at most."""
SHORT_WAIT_MS = 50
"""Waits up to this long stay in memory, under the lease; longer ones go to the due-set."""
REASON_MAX = 500
"""Characters of the reason of a parked order."""

_log = structlog.get_logger()


async def process(messages: Sequence[InboxMessage], ctx: Context) -> None:
    """Works on the entries of one inbox read, until each order is appended or has its own task."""
    entries = sort_delivery(messages)
    for message in entries.to_split:
        await _split(message, ctx)
    if entries.poisonous:
        await _park_poisonous(entries.poisonous, ctx)
    if not entries.deliveries:
        return
    if len(entries.heads) == len(entries.deliveries):
        await _work_on(entries.deliveries, entries.heads, ctx)
    else:
        await _reload(entries.deliveries, ctx)


async def _reload(deliveries: Sequence[OrderDelivery], ctx: Context) -> None:
    """Loads the current heads, as after a conflict, and works on what they owe now."""
    await _work_on(deliveries, await load(ctx.log, deliveries), ctx)


async def _work_on(
    deliveries: Sequence[OrderDelivery], heads: Sequence[OrderHead | None], ctx: Context
) -> None:
    claimed = claim(deliveries, heads, ctx.number)
    await settle_others(claimed, ctx)
    if claimed.owed:
        await _attend(claimed.owed, ctx)


async def _attend(group: Sequence[WorkItem], ctx: Context) -> None:
    """Admits, and asks for the orders that get a permit at once. The others wait for one, each in a
    task of its own.
    """
    turns = sort_turns(group, ctx.stage.name, ctx.retry, server_now_us())
    await _write([encode(expired, ctx) for expired in turns.expired], ctx)
    await wait(turns.early, ctx)
    admitted = await pace(turns.due, ctx)
    if not admitted:
        return
    if ctx.permits is None:
        await _ask(admitted, ctx)
        return
    ready = await ctx.permits.take([work.order_id for work in admitted])
    for work in admitted[ready:]:
        ctx.in_flight.spawn(_ask_under_permit(work, ctx.permits, ctx), [work.delivery])
    if ready:
        try:
            await _ask(admitted[:ready], ctx)
        finally:
            ctx.permits.release([work.order_id for work in admitted[:ready]])


async def _ask_under_permit(work: WorkItem, permits: Permits, ctx: Context) -> None:
    async with permits.permit(work.order_id):
        await _ask([work], ctx)


async def _ask(group: Sequence[WorkItem], ctx: Context) -> None:
    """Asks for these orders. A later answer is awaited in a task of its own."""
    asked = ask(group, ctx.stage)
    for pending in asked.later:
        task = ctx.in_flight.spawn(_conclude_later(pending, ctx), [pending.work.delivery])
        task.add_done_callback(dropping(pending.answer))
        hold_permits(task, [pending.work.order_id], ctx)
    if asked.now:
        await _conclude(asked.now, ctx)


async def _conclude_later(pending: Pending, ctx: Context) -> None:
    answered = await receive(pending, ctx)
    if answered is None:
        await _reload([(pending.work.order_id, pending.work.delivery)], ctx)
    else:
        await _conclude([answered], ctx)


async def _conclude(answered: Sequence[Answered], ctx: Context) -> None:
    """Decides on answers and writes the facts."""
    answered = await confirm_starts(answered, ctx)
    decisions = decide(answered, ctx.stage, ctx.retry, now_us=server_now_us(), jitter=random.random)
    appends, faults = _encode(decisions.decided, ctx)
    await _park([*decisions.faults, *faults], ctx)
    if decisions.again:
        again = decisions.again
        ctx.in_flight.spawn(_ask_again(again, ctx), [work.delivery for work in again])
    await _write(appends, ctx)


def _encode(decided: Sequence[Decided], ctx: Context) -> tuple[list[PendingAppend], list[Fault]]:
    """The facts as records, with those of the next stages whose answers are known at once."""
    appends: list[PendingAppend] = []
    faults: list[Fault] = []
    for decision in decided:
        try:
            pending = encode(decision, ctx)
        except Exception as error:
            faults.append(Fault(decision.work, error))
            continue
        if ctx.fused and not pending.wait_ms:
            fuse(pending.batch, ctx.fused)
        appends.append(pending)
    return appends, faults


async def _write(appends: Sequence[PendingAppend], ctx: Context) -> None:
    """Appends, then acks and runs the effects. Orders with a conflict are loaded again."""
    if not appends:
        return
    written = await append(appends, ctx)
    await settle_written(written, ctx)
    effects(written.appended, ctx)
    if written.retry:
        await _reload(written.retry, ctx)


async def _ask_again(group: Sequence[WorkItem], ctx: Context) -> None:
    now_us = server_now_us()
    waits = [(work, ctx.stage.wait_ms(work.order, now_us)) for work in group]
    await wait([Wait(work, ms, _reason(work)) for work, ms in waits if ms > SHORT_WAIT_MS], ctx)
    soon = [(work, ms) for work, ms in waits if ms <= SHORT_WAIT_MS]
    if soon:
        await asyncio.sleep(min(ms for _, ms in soon) / 1000)
        await _attend([work for work, _ in soon], ctx)


def _reason(work: WorkItem) -> WaitReason:
    """Why a stage has nothing to decide yet: the chain has not, or no node tells."""
    waits_for_chain = may_still_land(work.order) and not work.order.in_doubt
    return WaitReason.CHAIN if waits_for_chain else WaitReason.NODE


# -- faults ---------------------------------------------------------------------------------------


async def _park(faults: Sequence[Fault], ctx: Context) -> None:
    """Parks the orders that met a bug."""
    for fault in faults:
        _log.error(
            "order_step_failed",
            stage=ctx.stage.name,
            exc_info=fault.error,
            **fault.work.log_context,
        )
        await _park_one(fault.work, f"{type(fault.error).__name__}: {fault.error}", ctx)


async def _park_poisonous(deliveries: Sequence[OrderDelivery], ctx: Context) -> None:
    """Parks orders whose worker died on them again and again."""
    claimed = claim(deliveries, await load(ctx.log, deliveries), ctx.number)
    await settle_others(claimed, ctx)
    for work in claimed.owed:
        await _park_one(work, "its worker died on it again and again", ctx)


async def _park_one(work: WorkItem, reason: str, ctx: Context) -> None:
    parked = OrderParked(ctx.stage.name, reason[:REASON_MAX], "engine")
    await _write([encode(Decided(work, [parked]), ctx)], ctx)


async def _split(message: InboxMessage, ctx: Context) -> None:
    """Replaces an entry whose worker keeps dying by one entry for each of its orders."""
    _log.warning("inbox_entry_split", order_ids=message.order_ids)
    await persist(lambda: ctx.in_flight.split(message))
