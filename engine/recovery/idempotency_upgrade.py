"""The names of open orders in a log of an older layout, where they could expire: kept from now on.

Once a log, by the first gateway that joins it: it takes no order before it is done. What expired
before is registered again from the order's first event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import structlog

from events.archive import Archive
from events.archive.history import order_history
from events.commands.idempotency import names_of
from events.log import EventLog
from events.order import Order
from events.secret import SecretUrl
from events.types import OrderSubmitted

PAGE = 1000


async def keep_names(log: EventLog, database_url: SecretUrl) -> None:
    """Raises LogError, ArchiveUnavailable or Gap: begin again."""
    gone: set[str] = set()
    async for orders in _open_orders(log):
        names = [
            (name, order.id, b"")
            for order in orders
            for name in log.keys.names(order.account, order.client_order_id, order.idempotency_key)
        ]
        gone |= await log.keep_names(names)
    if gone:
        await _register(log, database_url, sorted(gone))
    await log.names_kept()


async def _open_orders(log: EventLog) -> AsyncIterator[list[Order]]:
    cursor = 0
    while True:
        cursor, heads = await log.open_page(cursor, count=PAGE)
        order_ids = []
        for order_id, head in heads.items():
            try:
                order_ids.append(head.order)
            except msgspec.DecodeError:  # of a newer build, which keeps its names
                structlog.get_logger().warning("idempotency_names_skipped", order_id=order_id)
        yield order_ids
        if not cursor:
            return


async def _register(log: EventLog, database_url: SecretUrl, order_ids: list[str]) -> None:
    """Brings back names that expired while their orders were open."""
    archive = await Archive.open(database_url, connections=1)
    try:
        for order_id in order_ids:
            history = await order_history(archive, log, order_id)
            submitted = history[0].record.event()
            if isinstance(submitted.fact, OrderSubmitted):
                names = names_of(log.keys, submitted.account, order_id, submitted.fact)
                if names is not None:
                    await log.keep_names([(key, order_id, names.value) for key in names.keys])
    finally:
        await archive.close()
