"""The types of orders, one row a type: the differences between them."""

from __future__ import annotations

from typing import Literal, NamedTuple


class OrderType(NamedTuple):
    """What is special about a type of order."""

    fields: tuple[str, ...]
    """Its fields besides those of every type, as requests name them."""
    times_in_force: tuple[str, ...]
    slippage_default_bps: int
    digest_version: int
    """Of the idempotency digest: see `events.commands.idempotency`."""
    required: tuple[str, ...] = ()
    """Those of `fields` that a request must have."""
    waits_for: Literal["", "price", "pool"] = ""
    """Its trigger; empty: it is routed at once."""
    minimum: Literal["slippage", "target-price", "max-price"] = "slippage"
    """How the least output is computed where the request does not give it."""
    patient: bool = False
    """Whether failed attempts never end it, and a swap that fails on chain makes it wait again."""

    @property
    def waits(self) -> bool:
        """Whether it has a trigger."""
        return bool(self.waits_for)


DEFAULT_ORDER_TYPE = "market"
"""The type of a request that names none."""

ORDER_TYPES: dict[str, OrderType] = {
    "market": OrderType(
        fields=("slippageBps", "minAmountOut", "swapMode", "maxAmountIn"),
        times_in_force=("IOC", "FOK"),
        slippage_default_bps=50,
        digest_version=1,
    ),
    "limit": OrderType(
        fields=("targetPrice",),
        required=("targetPrice",),
        times_in_force=("GTC", "GTT"),
        slippage_default_bps=0,  # it is never filled worse than its price
        digest_version=2,
        waits_for="price",
        minimum="target-price",
        patient=True,
    ),
    # One that comes late buys something else: it is not patient.
    "sniper": OrderType(
        fields=("slippageBps", "minLiquidity", "maxPrice", "minPrice"),
        times_in_force=("GTC", "GTT"),
        slippage_default_bps=50,
        digest_version=2,
        waits_for="pool",
        minimum="max-price",
    ),
}


def order_type(name: str) -> OrderType:
    """The type's row; that of market orders for an unknown type."""
    return ORDER_TYPES.get(name) or ORDER_TYPES[DEFAULT_ORDER_TYPE]
