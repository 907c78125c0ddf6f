"""Whether an order belongs to an account, checked before anything of it is shown to that account.

An order of another account cannot be told from an unknown id: where a store does not answer, both
give the same error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from events.log import EventLog, LogError, Stored, Unavailable
from events.order import Order
from projections.feed.frames import envelope_of

LOAD_S = 0.8
"""Timeout of the log: it leaves time to ask the archive."""


class OrderArchive(Protocol):
    """Reads of the archive. Each call may raise `events.archive.ArchiveUnavailable`."""

    async def order(self, order_id: str) -> Order | None:
        """The order as projected."""
        ...

    async def history(self, order_id: str) -> Sequence[Stored]:
        """The events of an order."""
        ...


async def owns(log: EventLog, archive: OrderArchive, account: str, order_id: str) -> bool:
    """Whether the order is the account's. Raises LogError or ArchiveUnavailable where a store that
    may know does not answer.
    """
    fault: LogError | None = None
    try:
        if await _logged(log, order_id) == account:
            return True
    except LogError as error:
        fault = error
    if await _archived(archive, order_id) == account:
        return True
    if fault is not None:
        raise fault
    return False


async def _logged(log: EventLog, order_id: str) -> str | None:
    """The account of an order that has a head."""
    try:
        async with asyncio.timeout(LOAD_S):
            head = (await log.load([order_id]))[0]
            if head is None:
                return None
            try:
                return head.order.account
            except msgspec.DecodeError:  # of a newer build: its events still name the account
                return _account_of(await log.history(head.positions[-1:]))
    except TimeoutError as error:
        raise Unavailable("no answer") from error


async def _archived(archive: OrderArchive, order_id: str) -> str | None:
    try:
        order = await archive.order(order_id)
    except msgspec.DecodeError:
        return _account_of(await archive.history(order_id))
    return None if order is None else order.account


def _account_of(stored: Sequence[Stored]) -> str | None:
    return envelope_of(stored[0].record).account if stored else None
