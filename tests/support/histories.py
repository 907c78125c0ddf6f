"""Histories of orders that decisions are tested on. All sell 1.5 SOL for USDC."""

from __future__ import annotations

from events.secret import SecretBytes
from events.types import (
    Fact,
    OrderArmed,
    OrderRouted,
    OrderSubmitted,
    OrderTriggered,
    RoutingStarted,
    TransactionBuilt,
    TransactionExpired,
    TransactionSubmitted,
)


def market(**terms: object) -> OrderSubmitted:
    """A market order."""
    return _submitted("market", terms)


def limit(target_price: str, **terms: object) -> OrderSubmitted:
    """A limit order."""
    return _submitted("limit", {"target_price": target_price, **terms})


def sniper(**terms: object) -> OrderSubmitted:
    """A sniper order."""
    return _submitted("sniper", terms)


def _submitted(kind: str, terms: dict[str, object]) -> OrderSubmitted:
    return OrderSubmitted(kind, "SOL", "USDC", 9, 6, 1_500_000_000, 50, **terms)  # type: ignore[arg-type]  # the tests name fields of the event


ARMED = OrderArmed(7)
TRIGGERED: tuple[Fact, ...] = (
    ARMED,
    OrderTriggered("tick", "d", "p", 7, "1"),
    RoutingStarted(),
)
"""A limit or sniper order until it is routed."""
ROUTED = OrderRouted("raydium", "p", 200, 190, "1", (), 9, 6)
SENT: tuple[Fact, ...] = (
    RoutingStarted(),
    ROUTED,
    TransactionBuilt(1, "sig-1", 10, SecretBytes(b"raw")),
    TransactionSubmitted(1, "sig-1"),
)
"""A market order until its transaction is sent. A limit order has `TRIGGERED` and `SENT[1:]`."""
DEAD = TransactionExpired(1, "sig-1", 10, 11)
"""What follows where that transaction is proved dead."""
