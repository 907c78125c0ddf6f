"""Ends orders whose time is over, wherever they wait: for a price, a retry, their turn, anyone."""

from __future__ import annotations

import asyncio

import msgspec

from events.log import EventLog, Head, Unit, Watches
from events.order import Order, may_still_land, was_executed
from stages.runtime.retry import after_expiry

POLL_S = 0.2
PER_ROUND = 500
LOOK_AGAIN_MS = 1000
"""At an expired order that only the chain, or an operator, can end now."""


async def expire(log: EventLog, watches: Watches) -> None:
    """One round. Whoever else has such an order in hand: only one of them can write."""
    due = await watches.due(PER_ROUND)
    units: list[Unit] = []
    for order_id, head in zip(due.order_ids, await log.load(due.order_ids), strict=True):
        order = None if head is None else order_of(head)
        if head is None or (order is not None and order.terminal):
            await watches.expires(order_id, None)
        elif order is not None and order.expires_at_us is None:
            continue  # amended a moment ago, which took it out: by now it may be in again
        elif order is None or may_still_land(order) or was_executed(order):
            await watches.expires(order_id, due.time_us // 1000 + LOOK_AGAIN_MS)
        elif order.expires_at_us is not None and order.expires_at_us > due.time_us:
            await watches.expires(order_id, -(-order.expires_at_us // 1000))
        else:
            units.append(log.unit(head, order, [after_expiry(order, "watcher")])[0])
    await log.append(units)
    if len(due.order_ids) < PER_ROUND:
        await asyncio.sleep(POLL_S)


def order_of(head: Head) -> Order | None:
    """None for a head that this build cannot read: another one may."""
    try:
        return head.order
    except msgspec.DecodeError:
        return None
