"""The events of an order, or the problem why a request cannot have them."""

from __future__ import annotations

from events.log import Stored
from gateway.backends.backend_errors import reading_archive, reading_log
from gateway.http.problems import Problem
from projections.feed.history_reader import HistoryGap, HistoryReader


async def read_history(past: HistoryReader, order_id: str) -> list[Stored]:
    """Every event of an order, in order. Raises Problem, also for an unknown order."""
    async with reading_archive(), reading_log():
        try:
            stored = await past.order(order_id)
        except HistoryGap as error:
            raise Problem("history-lost", str(error)) from error
    if not stored:
        raise Problem("unknown-order", order_id)
    return stored
