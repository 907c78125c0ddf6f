"""Parking an order whose head this build cannot read: said with what can be read of its last event.

The head's body is kept as it is; an operator's replay folds it again from the events.
"""

from __future__ import annotations

import time

import msgspec

from events.log import NOTES, PARKED, EventLog, Head, Share, Unit, encode_head
from events.order.hash_chain import encode_record, link
from events.types import Event, OrderParked, Status, encode


async def is_intact(log: EventLog, order_id: str, head: Head) -> bool:
    """Whether its fixed part is that of the order's newest event: what is said on top of another
    one would not continue the order. Raises LogError.
    """
    stored = await log.history(head.positions[-1:])
    if not stored or stored[0].record.hash != head.hash:
        return False
    fields = msgspec.msgpack.decode(stored[0].record.body)
    return bool(fields[:2] == [order_id, head.version])


async def park_unreadable(
    log: EventLog, stage: str, order_id: str, head: Head, share: Share, error: Exception
) -> Unit:
    """The unit that parks the order without touching its body. Raises LogError."""
    status, account, time_us = Status.PENDING, "", 0
    stored = await log.history(head.positions[-1:])
    if stored:
        fields = msgspec.msgpack.decode(stored[0].record.body)
        time_us, status, account = fields[2], Status(fields[3]), fields[4]
    event = Event(
        order_id,
        head.version + 1,
        max(time_us, time.time_ns() // 1000),
        status,
        account,
        log.build,
        OrderParked(stage, f"unreadable head: {error}"[:500], "engine"),
    )
    body = encode(event)
    digest = link(head.hash, body)
    return Unit(
        order_id,
        head.prefix,
        encode_head(event.version, digest, PARKED, head.body),
        PARKED,
        1,
        encode_record(digest, body),
        share,
        wake=False,
        note=NOTES[OrderParked],
    )
