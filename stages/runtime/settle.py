"""Settle: acks deliveries, delays orders, and parks those whose heads cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from events.hash_chain import HashedEvent, encode_record, link
from events.log import (
    OUTCOME_COUNTERS,
    PARKED,
    AppendRequest,
    AppendResult,
    Delivery,
    EventLog,
    OrderHead,
    ack_only,
    encode_head,
)
from events.order import may_still_land
from events.streams.damage import UNDECODABLE
from events.telemetry.error_text import error_text
from events.telemetry.server_clock import now_us as server_now_us
from events.types import Event, OrderParked, Status, encode
from stages.runtime.append import WRITTEN, Written
from stages.runtime.claim import Claimed, Unreadable
from stages.runtime.load import persist
from stages.runtime.work import Context, Wait, log_context

_log = structlog.get_logger()


async def settle_written(written: Written, ctx: Context) -> None:
    """Ends the leases of appended orders, which the append itself acked, and delays the others."""
    ctx.in_flight.settled([pending.work.delivery for pending in written.appended])
    if any(pending.wait_ms for pending in written.appended):
        ctx.in_flight.waiting()
    await wait(written.suspended, ctx)


async def settle_others(claimed: Claimed, ctx: Context) -> None:
    """Settles orders that are not this stage's, or whose heads it cannot read."""
    for unreadable in claimed.unreadable:
        await _quarantine(unreadable, ctx)
    if claimed.gone:
        await _set_aside(claimed.gone, ctx)
    if claimed.others:
        await _settle([ack_only(order_id, delivery) for order_id, delivery in claimed.others], ctx)


async def wait(waits: Sequence[Wait], ctx: Context) -> None:
    """Moves orders to the due-set, each for its ms, but not beyond its expiry."""
    if not waits:
        return
    now_us = server_now_us()
    requests = []
    for work, ms, reason in waits:
        expires = work.order.expires_at_us
        bound = ms
        if expires is not None and not may_still_land(work.order):
            bound = min(ms, max(1, (expires - now_us) // 1000 + 1))
        requests.append(ack_only(work.order_id, work.delivery, wait_ms=bound, wait_reason=reason))
    await _settle(requests, ctx)
    ctx.in_flight.waiting()


async def _quarantine(unreadable: Unreadable, ctx: Context) -> None:
    """Parks an order of which only the fixed part of its head can be read, or none of it."""
    order_id, delivery = unreadable.delivery
    stage = ctx.stage.name
    if not await is_intact(ctx.log, order_id, unreadable.head):
        await _set_aside([order_id], ctx)
        await _settle([ack_only(order_id, delivery)], ctx)
        return
    request = await park_unreadable(
        ctx.log, stage, order_id, unreadable.head, delivery, unreadable.error
    )
    [result] = await _settle([request], ctx)
    if result.status in WRITTEN:
        reason = error_text(unreadable.error)
        _log.error(
            "order_parked", stage=stage, reason=reason, **log_context(order_id, unreadable.head)
        )


async def _set_aside(order_ids: Sequence[str], ctx: Context) -> None:
    """Lists open orders without a readable head as parked: nothing can be appended to them before
    a repair.
    """
    listed_ids: list[str] = []

    async def listed() -> None:
        listed_ids[:] = await ctx.log.open_among(order_ids)
        await ctx.log.set_aside(listed_ids)

    await persist(listed)
    for order_id in listed_ids:
        _log.error(
            "order_head_damaged", stage=ctx.stage.name, order_id=order_id, mend="engine repair"
        )


async def _settle(requests: Sequence[AppendRequest], ctx: Context) -> list[AppendResult]:
    results = await ctx.log.append(requests)
    ctx.in_flight.settled(
        [request.delivery for request in requests if request.delivery is not None]
    )
    return results


# -- heads that this build cannot read -------------------------------------------------------------
#
# They are parked by what can be read of the last event. The body is kept: a requeue folds it again.


async def is_intact(log: EventLog, order_id: str, head: OrderHead) -> bool:
    """Whether the fixed part of a head is that of the order's newest event. Another one cannot be
    appended to. Raises LogError.
    """
    stored = await log.history(head.positions[-1:])
    if not stored or stored[0].record.hash != head.hash:
        return False
    return _fields(stored[0].record)[:2] == [order_id, head.version]


def _fields(record: HashedEvent) -> list[Any]:
    """The fields of an event, by position; empty where its bytes cannot be decoded."""
    try:
        return msgspec.msgpack.decode(record.body, type=list[Any])
    except (msgspec.DecodeError, *UNDECODABLE):
        return []


async def park_unreadable(
    log: EventLog, stage: str, order_id: str, head: OrderHead, delivery: Delivery, error: Exception
) -> AppendRequest:
    """The request that parks an order and keeps the body of its head. Raises LogError."""
    status, account, time_us = Status.PENDING, "", 0
    stored = await log.history(head.positions[-1:])
    if stored and (fields := _fields(stored[0].record)):
        time_us, status, account = fields[2], Status(fields[3]), fields[4]
    event = Event(
        order_id,
        head.version + 1,
        max(time_us, server_now_us()),
        status,
        account,
        log.build,
        OrderParked(stage, f"unreadable head: {error}"[:500], "engine"),
    )
    body = encode(event)
    digest = link(head.hash, body)
    return AppendRequest(
        order_id=order_id,
        old=head.prefix,
        new=encode_head(event.version, digest, PARKED, head.body),
        owes=PARKED,
        events=1,
        records=encode_record(digest, body),
        delivery=delivery,
        wake=False,
        note=OUTCOME_COUNTERS[OrderParked],
    )
