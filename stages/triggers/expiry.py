"""Ends orders whose time is over, wherever they wait: for a price, a retry, their turn, anyone."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from events.log import AppendRequest, EventLog, OrderHead, PairLeases
from events.order import Order, may_still_land, was_executed
from stages.runtime.retry import after_expiry

POLL_S = 0.2
PER_ROUND = 500
LOOK_AGAIN_MS = 1000
"""At an expired order that only the chain, or an operator, can end now."""


class Expire(NamedTuple):
    """Its time is over: it ends."""

    order: Order


class LookAt(NamedTuple):
    """The index is to name it then; None: never again."""

    at_ms: int | None


class LeaveAlone(NamedTuple):
    """The index is not touched: another writer has changed it a moment ago."""


def decide_expiry(head: OrderHead | None, now_us: int) -> Expire | LookAt | LeaveAlone:
    """What is done about an order that the index of expiries names as due. Pure.

    `now_us` is the server's time.
    """
    if head is None:
        return LookAt(None)
    order = order_of(head)
    if order is not None and order.terminal:
        return LookAt(None)
    if order is not None and order.expires_at_us is None:
        return LeaveAlone()  # amended, which took it out of the index: by now it may be in again
    if order is None or may_still_land(order) or was_executed(order):
        return LookAt(now_us // 1000 + LOOK_AGAIN_MS)
    assert order.expires_at_us is not None, "asked above"
    if order.expires_at_us > now_us:
        return LookAt(-(-order.expires_at_us // 1000))
    return Expire(order)


async def expire(log: EventLog, watches: PairLeases) -> None:
    """One round. Whoever else has such an order in hand: only one of them can write."""
    due = await watches.due(PER_ROUND)
    requests: list[AppendRequest] = []
    for order_id, head in zip(due.order_ids, await log.load(due.order_ids), strict=True):
        match decide_expiry(head, due.time_us):
            case LookAt(at_ms):
                await watches.expires(order_id, at_ms)
            case Expire(order) if head is not None:
                requests.append(
                    log.build_append_of(head, order, [after_expiry(order, "watcher")])[0]
                )
    await log.append(requests)
    if len(due.order_ids) < PER_ROUND:
        await asyncio.sleep(POLL_S)


def order_of(head: OrderHead) -> Order | None:
    """None for a head that this build cannot read: another one may."""
    try:
        return head.order
    except msgspec.DecodeError:
        return None
