"""Load: the heads of delivered orders, from the entries that carried them or from the log.

What an order owes follows from its head, never from the entry that woke us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from events.log import (
    EventLog,
    Fenced,
    InboxMessage,
    LogError,
    LogTruncated,
    OrderHead,
    decode_head,
)
from stages.runtime.work import Named

FAULT_WAIT_S = 0.2
"""Between two tries while the log does not answer."""
DELIVERIES_MAX = 5
"""An entry delivered so often without being acknowledged is taken for a poison message."""

_log = structlog.get_logger()


class SortedMessages(NamedTuple):
    """What a read of the inbox brought, sorted by what is done with it."""

    named: list[Named]
    """To be worked on."""
    heads: list[OrderHead | None]
    """Of these, where each came with its entry; else they are loaded."""
    poisonous: list[Named]
    """Orders that were alone in an entry which lost its worker again and again."""
    torn: list[InboxMessage]
    """Entries of several orders, of which one is poisonous."""


def sort_delivery(messages: Sequence[InboxMessage]) -> SortedMessages:
    """Pure."""
    sorted_ = SortedMessages([], [], [], [])
    for message in messages:
        deliveries = [
            (order_id, message.delivery(place)) for place, order_id in enumerate(message.order_ids)
        ]
        if message.deliveries < DELIVERIES_MAX:
            sorted_.named.extend(deliveries)
            if message.head:
                sorted_.heads.append(decode_head(message.head))
        elif len(deliveries) == 1:
            sorted_.poisonous.extend(deliveries)
        else:
            sorted_.torn.append(message)
    return sorted_


async def load(log: EventLog, stage: str, named: Sequence[Named]) -> list[OrderHead | None]:
    """The heads as they are now; waits until the log answers."""
    heads: list[OrderHead | None] = []

    async def loaded() -> None:
        heads[:] = await log.load([order_id for order_id, _ in named])

    await persist(stage, loaded)
    return heads


async def persist(stage: str, act: Callable[[], Awaitable[object]]) -> None:
    """Repeats an idempotent act until the log answers: its outage costs no attempt."""
    while True:
        try:
            await act()
            return
        except (Fenced, LogTruncated):
            raise
        except LogError as error:
            _log.warning("log not available", stage=stage, error=str(error))
            await asyncio.sleep(FAULT_WAIT_S)
