"""What the screener decides."""

from __future__ import annotations

from msgspec.structs import replace

from events.order import next_stage
from events.order.owed import SCREENED_FROM
from events.types import RoutingStarted
from stages import screener
from tests.support.histories import market
from tests.support.specification import given

LARGE = replace(market(), amount_in=SCREENED_FROM)


def test_a_large_order_is_screened_once_and_then_routed() -> None:
    assert next_stage(given(market()).state) == "router"
    order = given(LARGE)
    assert next_stage(order.state) == "screener"
    order.when(screener.decide, None).then(RoutingStarted())
    assert next_stage(order.followed_by(RoutingStarted()).state) == "router"
