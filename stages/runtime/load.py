"""Load: the heads of delivered orders, from the entries that carried them or from the log.

What an order owes follows from its head, never from the entry that woke us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from events.log import Entry, EventLog, Fenced, Head, LogError, Regressed, decode_head
from stages.runtime.work import Named

FAULT_WAIT_S = 0.2
"""Between two tries while the log does not answer."""
DELIVERIES_MAX = 5
"""So often an entry may be delivered without being settled, then it is taken for a killer."""

_log = structlog.get_logger()


class Delivery(NamedTuple):
    """What a read of the inbox brought, sorted by what is done with it."""

    named: list[Named]
    """To be worked on."""
    heads: list[Head | None]
    """Of these, where each came with its entry; else they are loaded."""
    killers: list[Named]
    """Orders that were alone in an entry which lost its worker again and again."""
    torn: list[Entry]
    """Entries of several orders, of which one is such a killer."""


def sort_delivery(entries: Sequence[Entry]) -> Delivery:
    """Pure."""
    sorted_ = Delivery([], [], [], [])
    for entry in entries:
        shares = [(order_id, entry.share(place)) for place, order_id in enumerate(entry.order_ids)]
        if entry.deliveries < DELIVERIES_MAX:
            sorted_.named.extend(shares)
            if entry.head:
                sorted_.heads.append(decode_head(entry.head))
        elif len(shares) == 1:
            sorted_.killers.extend(shares)
        else:
            sorted_.torn.append(entry)
    return sorted_


async def load(log: EventLog, stage: str, named: Sequence[Named]) -> list[Head | None]:
    """The heads as they are now; waits until the log answers."""
    heads: list[Head | None] = []

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
        except (Fenced, Regressed):
            raise
        except LogError as error:
            _log.warning("log not available", stage=stage, error=str(error))
            await asyncio.sleep(FAULT_WAIT_S)
