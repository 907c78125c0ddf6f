"""The event `OrderSubmitted`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class OrderSubmitted(Fact, frozen=True, array_like=True, tag=True):
    """An order was accepted."""

    order_type: str
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    slippage_bps: int
    min_amount_out: int | None = None
    expires_at_us: int | None = None
    client_order_id: str | None = None
    idempotency_key: str | None = None
    target_price: str = ""
    """Limit order, and sniper order with a minimum price: minimum token_out per token_in, net, in
    whole tokens; a decimal string."""
    time_in_force: str = ""
    """GTC or GTT for limit and sniper orders; IOC or FOK for market orders with a bound. Both mean
    the same there, as a swap is all or nothing. Empty: a market order that may be retried."""
    min_liquidity: int | None = None
    """Sniper order: minimum liquidity of the pool, in base units of token_in."""
    max_price: str = ""
    """Sniper order: maximum token_in per token_out, in whole tokens; a decimal string."""
    exact_amount_out: int | None = None
    """Swap mode exactOut: the exact output, in base units; amount_in is 0 then."""
    max_amount_in: int | None = None
    """Swap mode exactOut: the maximum input, in base units."""
    traceparent: str = ""
    """The submitter's W3C Trace Context; not part of the terms."""
    request_id: str = ""
    """The X-Request-Id of the request that was accepted; not part of the terms."""


def _apply(order: Order, fact: OrderSubmitted, time_us: int) -> None:
    order.type = fact.order_type
    order.token_in = fact.token_in
    order.token_out = fact.token_out
    order.decimals_in = fact.decimals_in
    order.decimals_out = fact.decimals_out
    order.amount_in = fact.amount_in
    order.slippage_bps = fact.slippage_bps
    order.min_amount_out = fact.min_amount_out
    order.expires_at_us = fact.expires_at_us
    order.client_order_id = fact.client_order_id
    order.idempotency_key = fact.idempotency_key
    order.target_price = fact.target_price
    order.time_in_force = fact.time_in_force
    order.min_liquidity = fact.min_liquidity
    order.max_price = fact.max_price
    order.exact_amount_out = fact.exact_amount_out
    order.max_amount_in = fact.max_amount_in
    order.created_at_us = time_us


EVENT = OrderEvent(
    OrderSubmitted,
    transitions={None: Status.PENDING},
    apply=_apply,
)
