"""The types of orders: one row a type. Whatever differs between them stands here."""

from __future__ import annotations

from typing import Literal, NamedTuple


class OrderType(NamedTuple):
    """What is special about a type of order."""

    fields: tuple[str, ...]
    """What it takes besides the fields that all take, as requests name them."""
    times_in_force: tuple[str, ...]
    slippage_default_bps: int
    digest_version: int
    """Of the idempotency digest: see `events.commands.idempotency`."""
    required: tuple[str, ...] = ()
    """Those of `fields` that a request must have."""
    waits_for: Literal["", "price", "pool"] = ""
    """What has to happen before it is routed; empty: nothing."""
    minimum: Literal["slippage", "target-price", "max-price"] = "slippage"
    """What bounds the least output, where the client did not say it."""
    patient: bool = False
    """Whether it waits for its price however long that takes: no number of failed attempts ends it,
    and a swap that fails on chain sends it back to waiting."""

    @property
    def waits(self) -> bool:
        """Whether something has to happen before it is routed."""
        return bool(self.waits_for)


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
        fields=("slippageBps", "minLiquidity", "maxPrice"),
        times_in_force=("GTC", "GTT"),
        slippage_default_bps=50,
        digest_version=2,
        waits_for="pool",
        minimum="max-price",
    ),
}


def order_type(name: str) -> OrderType:
    """The type's row. What is about no order, such as the engine's switch, waits for nothing."""
    return ORDER_TYPES.get(name) or ORDER_TYPES["market"]
