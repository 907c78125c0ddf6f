"""Submitter: appends that a transaction is sent, and then sends it, once (transactional outbox).

From `TransactionSubmitted` on the transaction may land, even where the send fails. The confirmer
finds out what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from events.order import Order
from events.types import Fact, TransactionSubmitted
from stages.runtime.stage import Stage, VenueRefusal
from stages.venues import Chain

DEADLINE_S = 10.0

_log = structlog.get_logger()


def decide(order: Order, _: None) -> list[Fact]:
    """The event that precedes the send of the transaction that the builder recorded."""
    assert order.transaction is not None, "the submitter owes only orders that are built"
    return [TransactionSubmitted(order.transaction.attempt, order.transaction.signature)]


def stage(chain: Chain) -> Stage:
    """The stage on a chain."""

    async def send(orders: Sequence[Order]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await chain.send([o.transaction.raw for o in orders if o.transaction is not None])
        except (VenueRefusal, OSError) as error:  # TimeoutError is an OSError
            # Accepted or not, the confirmer asks for the outcome and sends again.
            _log.warning("send_failed", error=str(error), order_ids=[order.id for order in orders])

    return Stage(name="submitter", decide=decide, after=send, needs_permit=True)
