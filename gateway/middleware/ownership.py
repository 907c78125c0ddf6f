"""Checks that an order belongs to the account (tenant) of a principal."""

from __future__ import annotations

from gateway.backends.backend_errors import reading_archive, reading_log
from gateway.http.problems import Problem
from projections.feed.history_reader import HistoryReader


class Ownership:
    """Looks up the owners of orders."""

    def __init__(self, past: HistoryReader) -> None:
        self._past = past

    async def check(self, account: str | None, order_id: str) -> None:
        """Raises Problem unless the account has the order; None is all accounts.

        `unknown-order` is the answer for an order of another account and for an unknown id alike.
        """
        if account is None:
            return  # what there is not, the handler will find out
        async with reading_archive(), reading_log():
            known = await self._past.owns(account, order_id)
        if not known:
            raise Problem("unknown-order", order_id)
