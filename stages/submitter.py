"""Submitter: writes that it sends, durably, and then sends, once.

From `TransactionSubmitted` on the transaction may land, whatever the send says; what becomes of it
is the confirmer's business.
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
    """Says what is about to be sent: the bytes that the builder recorded, and no others."""
    assert order.transaction is not None, "the submitter owes only orders that are built"
    return [TransactionSubmitted(order.transaction.attempt, order.transaction.signature)]


def stage(chain: Chain) -> Stage:
    """The stage, sending to this chain."""

    async def send(orders: Sequence[Order]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await chain.send([o.transaction.raw for o in orders if o.transaction is not None])
        except (VenueRefusal, OSError) as error:  # TimeoutError is an OSError
            # Unclear or not accepted: either way the confirmer finds out and sends again.
            _log.warning("send failed", error=str(error), order_ids=[order.id for order in orders])

    return Stage(name="submitter", decide=decide, after=send, needs_permit=True)
