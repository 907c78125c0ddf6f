"""Reads one order: from its head in the log or, once that is removed, from the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from events.log import EventLog, order_in
from events.order import Order
from gateway.backends.backend_errors import ANSWER_S, reading_archive, reading_log
from gateway.http.problems import Problem
from projections.feed.history_reader import Archive


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
