"""Load: the heads of delivered orders, from the inbox entries that carried them or from the log.

Which stage is next follows from an order's head, never from the inbox entry. An entry that keeps
losing its worker is a poison message: one of several orders is split, a lone order is parked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from events.log import (
    EventLog,
    Fenced,
    InboxMessage,
    LogError,
    LogTruncated,
    OrderHead,
    decode_head,
)
from events.telemetry.outages import LOG
from stages.runtime.work import OrderDelivery

FAULT_WAIT_S = 0.2
"""Between two attempts while the log does not answer."""
DELIVERIES_MAX = 5
"""An entry that was delivered so often without an ack is a poison message."""


class SortedMessages(NamedTuple):
    """The entries of one inbox read, by what is done with them."""

    deliveries: list[OrderDelivery]
    """Orders to work on."""
    heads: list[OrderHead | None]
    """Their heads, where each entry carries one; else they are loaded."""
    poisonous: list[OrderDelivery]
    """Orders alone in an entry whose worker died again and again."""
    to_split: list[InboxMessage]
    """Entries of several orders, one of which is poisonous."""


def sort_delivery(messages: Sequence[InboxMessage]) -> SortedMessages:
    """Sorts inbox entries by their delivery count. Pure."""
    sorted_ = SortedMessages([], [], [], [])
    for message in messages:
        deliveries = [
            (order_id, message.delivery(place)) for place, order_id in enumerate(message.order_ids)
        ]
        if message.deliveries < DELIVERIES_MAX:
            sorted_.deliveries.extend(deliveries)
            if message.head:
                sorted_.heads.append(decode_head(message.head))
        elif len(deliveries) == 1:
            sorted_.poisonous.extend(deliveries)
        else:
            sorted_.to_split.append(message)
    return sorted_


async def load(log: EventLog, deliveries: Sequence[OrderDelivery]) -> list[OrderHead | None]:
    """The current heads of orders. Waits until the log answers."""
    heads: list[OrderHead | None] = []

    async def loaded() -> None:
        heads[:] = await log.load([order_id for order_id, _ in deliveries])

    await persist(loaded)
    return heads


async def persist(act: Callable[[], Awaitable[object]]) -> None:
    """Repeats an idempotent call until the log answers. An outage of the log costs no attempt.

    Raises Fenced or LogTruncated.
    """
    while True:
        try:
            await act()
            LOG.over()
            return
        except (Fenced, LogTruncated):
            raise
        except LogError as error:
            LOG.failed(error)
            await asyncio.sleep(FAULT_WAIT_S)
