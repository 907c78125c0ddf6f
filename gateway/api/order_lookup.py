"""What handlers look up: an order, from its head in the log or, once that is removed, from the
archive; and how responses show orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from events.log import EventLog, LogError, order_in
from events.order import Order
from gateway.backends.backend_errors import ANSWER_S, reading_archive, reading_log
from gateway.http import responses
from gateway.http.problems import Problem
from projections.feed.history_reader import Archive
from projections.views.orders import order_view, waiting_view

WAITING_S = 0.5
"""How long the log may take to tell why orders wait, which is not worth a failed read."""


async def logged(log: EventLog, order_id: str, timeout_s: float = ANSWER_S) -> Order | None:
    """The current order; None when the log has no head of it. Raises Problem."""
    async with reading_log(timeout_s):
        head = (await log.load([order_id]))[0]
    if head is None:
        return None
    with readable(order_id):
        return order_in(head, order_id)


async def archived(archive: Archive, order_id: str) -> Order | None:
    """The archived order, which may lag unless it has ended. Raises Problem."""
    with readable(order_id):
        async with reading_archive():
            return await archive.order(order_id)


@contextmanager
def readable(order_id: str) -> Iterator[None]:
    """Turns an order that a newer build wrote into Problem `unreadable-order`."""
    try:
        yield
    except msgspec.DecodeError as error:
        raise Problem("unreadable-order", str(error), orderId=order_id) from error


async def find_order(log: EventLog, archive: Archive, order_id: str) -> Order | None:
    """The order from the log's head or, once that is removed, from the archive; None: unknown.

    Raises Problem where a store that may know it does not answer.
    """
    try:
        order = await logged(log, order_id)
    except Problem:
        # What the archive has may be old, unless nothing could follow it.
        order = await archived(archive, order_id)
        if order is not None and order.terminal:
            return order
        raise
    return order or await archived(archive, order_id)


class OrderViews:
    """Orders as responses show them: with why they wait, which the log knows."""

    def __init__(self, log: EventLog, explorer: str, concurrency: int) -> None:
        """`concurrency`: how many orders may be in venue calls at once; 0: any number."""
        self._log = log
        self._explorer = explorer
        self._concurrency = concurrency

    async def response(self, order: Order) -> web.Response:
        """The response that shows this order."""
        [waiting] = await self._waits([order])
        return responses.order(order, self._explorer, waiting)

    async def views(self, orders: Sequence[Order]) -> list[dict[str, Any]]:
        """Orders as a list shows them."""
        waits = await self._waits(orders)
        return [
            order_view(order, self._explorer, waiting)
            for order, waiting in zip(orders, waits, strict=True)
        ]

    async def _waits(self, orders: Sequence[Order]) -> list[dict[str, Any] | None]:
        """Why each of these orders waits; null for all while the log does not answer."""
        if all(order.terminal for order in orders):
            return [None] * len(orders)
        try:
            async with asyncio.timeout(WAITING_S):
                waits = await self._log.why_waiting(orders, concurrency=self._concurrency)
        except (LogError, TimeoutError):
            return [None] * len(orders)
        return [wait and waiting_view(*wait) for wait in waits]
