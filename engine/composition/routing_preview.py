"""What the router would do with an order and its quotes, for a test of an order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from events.order import IMMEDIATE_TIFS, Order
from events.types import OrderRearmed, OrderRouted, Quote
from gateway.api.quotes import RoutingPreview
from stages import router
from stages.runtime.stage import VenueRefusal


def preview_routing(order: Order, quotes: Sequence[Quote]) -> RoutingPreview:
    """The router's decision, by the function that decides about real orders."""
    try:
        [fact] = router.decide(order, quotes)
    except VenueRefusal as refusal:
        again = refusal.retryable and order.time_in_force not in IMMEDIATE_TIFS
        outcome = "delayed" if again else "failed"
        return RoutingPreview(outcome, refusal.code, refusal.detail)
    match fact:
        case OrderRouted():
            return RoutingPreview(
                "routed", min_amount_out=fact.min_amount_out, max_amount_in=fact.max_amount_in
            )
        case OrderRearmed():
            return RoutingPreview("waiting", fact.reason)
        case _:
            raise AssertionError(f"the router decided on {type(fact).__name__}")
