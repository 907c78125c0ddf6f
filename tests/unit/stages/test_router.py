"""What the router decides on quotes: every field, as builder, API and audit have the event only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from engine.recovery.replay_checks import CHECKS
from events.order import Order
from events.types import (
    U64_MAX,
    AttemptFailed,
    Fact,
    OrderRearmed,
    OrderRouted,
    Quote,
    RoutingStarted,
    TokenWarning,
)
from stages import router
from stages.runtime.stage import VenueRefusal
from tests.support.histories import TRIGGERED, limit, market, sniper
from tests.support.specification import given

RAYDIUM = Quote("raydium", "r", 1_500_000_000, 224_000_000, 3_750_000, 7)
METEORA = Quote("meteora", "m", 1_500_000_000, 230_000_000, 3_000_000, 7)
QUOTES = (RAYDIUM, METEORA)
NO_ROUTE = Quote("raydium", "", 1_500_000_000, 0, 0, 0, "no-route")
TIMEOUT = Quote("meteora", "", 1_500_000_000, 0, 0, 0, "venue-timeout")
WARNED = tuple(replace(q, warnings=(TokenWarning("freeze-authority", "USDC"),)) for q in QUOTES)


# -- the route -------------------------------------------------------------------------------------


def test_a_route_of_an_exact_input_records_its_quote_and_no_input_of_its_own() -> None:
    given(market()).when(router.decide, QUOTES).then(
        OrderRouted(
            dex="meteora",
            pool="m",
            amount_out=230_000_000,
            min_amount_out=228_850_000,
            price="153.333333333",
            quotes=QUOTES,
            decimals_in=9,
            decimals_out=6,
            chosen=1,
            amount_in=0,
            max_amount_in=0,
        )
    )


def test_a_route_of_an_exact_output_takes_the_least_input_and_promises_that_output() -> None:
    dearer = replace(RAYDIUM, amount_in=1_500_000_001, amount_out=999_000_000)
    given(market(exact_amount_out=230_000_000)).when(router.decide, (dearer, METEORA)).then(
        OrderRouted(
            dex="meteora",
            pool="m",
            amount_out=230_000_000,
            min_amount_out=230_000_000,
            price="153.333333333",
            quotes=(dearer, METEORA),
            decimals_in=9,
            decimals_out=6,
            chosen=1,
            amount_in=1_500_000_000,
            max_amount_in=1_507_500_000,
        )
    )


def test_of_equal_quotes_the_first_wins() -> None:
    equal = Quote("meteora", "m", 1, 224_000_000, 0, 7)
    given(market()).when(router.decide, (RAYDIUM, equal)).then_one(OrderRouted, dex="raydium")


def test_a_failing_venue_loses_only_its_own_quote() -> None:
    routed = given(market()).when(router.decide, (NO_ROUTE, METEORA)).then_one(OrderRouted)
    assert (routed.dex, routed.quotes[0].error) == ("meteora", "no-route")


def test_of_a_route_only_the_chosen_quote_keeps_its_warnings() -> None:
    given(market()).when(router.decide, WARNED).then_one(OrderRouted, quotes=(RAYDIUM, WARNED[1]))


def test_routing_begins_once() -> None:
    given(market()).when(router.begin).then(RoutingStarted())
    given(market(), RoutingStarted()).when(router.begin).then()


# -- the least output, and the most input ----------------------------------------------------------


def test_an_explicit_minimum_is_kept_unchanged() -> None:
    order = given(market(min_amount_out=229_999_999))
    order.when(router.decide, QUOTES).then_one(OrderRouted, min_amount_out=229_999_999)


def test_a_quote_below_the_minimum_fails_the_order() -> None:
    order = given(market(min_amount_out=230_000_001))
    order.when(router.decide, QUOTES).then_refused(
        VenueRefusal,
        code="quote-below-minimum",
        detail="best quote 230 USDC, minimum 230.000001 USDC",
        retryable=False,
    )


def test_an_exact_output_never_takes_more_than_its_limit_or_an_earlier_route() -> None:
    exact = given(market(exact_amount_out=230_000_000, max_amount_in=1_500_000_000))
    exact.when(router.decide, (METEORA,)).then_one(
        OrderRouted, amount_in=1_500_000_000, max_amount_in=1_500_000_000
    )
    exact.when(router.decide, (replace(METEORA, amount_in=1_500_000_001),)).then_refused(
        VenueRefusal,
        code="quote-above-maximum",
        detail="best quote 1.500000001 SOL, maximum 1.5 SOL",
        retryable=False,
    )


def test_the_most_that_an_exact_output_takes_is_fixed_by_the_first_route() -> None:
    exact = given(market(exact_amount_out=230_000_000), RoutingStarted())
    routed = exact.when(router.decide, (METEORA,)).then_one(
        OrderRouted, max_amount_in=1_507_500_000
    )
    again = exact.followed_by(routed)
    again.when(router.decide, (replace(METEORA, amount_in=1_507_000_000),)).then_one(
        OrderRouted, amount_in=1_507_000_000, max_amount_in=1_507_500_000
    )


def test_a_limit_order_is_routed_with_its_target_as_the_minimum_rounded_up() -> None:
    given(limit("153.3333333333"), *TRIGGERED).when(router.decide, QUOTES).then_one(
        OrderRouted,
        dex="meteora",
        min_amount_out=230_000_000,  # 229.99999999995 rounded up
    )


def test_a_sniper_takes_its_slippage_but_never_pays_more_than_its_highest_price() -> None:
    for max_price, least in [("", 228_850_000), ("0.00653", 229_709_036)]:  # 1.5 / 0.00653
        order = given(sniper(max_price=max_price), *TRIGGERED)
        order.when(router.decide, (METEORA,)).then_one(OrderRouted, min_amount_out=least)
    order = given(sniper(max_price="0.0065"), *TRIGGERED)
    order.when(router.decide, (METEORA,)).then_one(OrderRearmed)


def test_the_least_price_of_a_sniper_bounds_as_its_inverse_does() -> None:
    order = given(sniper(target_price="153.3"), *TRIGGERED)
    order.when(router.decide, (METEORA,)).then_one(OrderRouted, min_amount_out=229_950_000)
    order = given(sniper(target_price="153.34"), *TRIGGERED)
    order.when(router.decide, (METEORA,)).then_one(OrderRearmed)


def test_a_sniper_that_is_routed_again_never_loosens_its_minimum() -> None:
    order = given(sniper(), *TRIGGERED)
    routed = order.when(router.decide, (METEORA,)).then_one(OrderRouted)
    again = order.followed_by(routed, AttemptFailed("builder", 1, "slippage-exceeded", "", 0))
    worse = replace(METEORA, amount_out=METEORA.amount_out * 99 // 100)
    again.when(router.decide, (worse,)).then_one(OrderRearmed)
    again.when(router.decide, (METEORA,)).then_one(
        OrderRouted, min_amount_out=routed.min_amount_out
    )


def test_the_least_output_of_a_limit_order_may_be_all_of_a_u64_and_no_more() -> None:
    order = given(limit("12297829382473.03441"), *TRIGGERED)
    order.when(router.decide, QUOTES).then_one(OrderRearmed, min_amount_out=U64_MAX)
    order = given(limit("12297829382473.034411"), *TRIGGERED)
    order.when(router.decide, (METEORA,)).then_refused(
        VenueRefusal,
        code="amount-too-large",
        detail="the least output exceeds what a u64 holds",
    )


# -- no route --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quotes", "code", "detail", "retryable"),
    [
        ((NO_ROUTE, NO_ROUTE), "no-route", "no-route, no-route", False),
        ((NO_ROUTE, TIMEOUT), "venue-timeout", "no-route, venue-timeout", True),
        ((), "no-route", "", False),
    ],
)
def test_an_order_without_quotes_is_retried_only_where_the_reason_is_retryable(
    quotes: tuple[Quote, ...], code: str, detail: str, retryable: bool
) -> None:
    given(market()).when(router.decide, quotes).then_refused(
        VenueRefusal, code=code, detail=detail, retryable=retryable
    )


def test_without_any_quote_a_triggered_order_is_rearmed() -> None:
    for order in (limit("150"), sniper()):
        given(order, *TRIGGERED).when(router.decide, ()).then(
            OrderRearmed("router", "no-route", 8, 0, 0, (), 9, 6)
        )


def test_a_vanished_pool_rearms_a_sniper_order_and_fails_a_market_order() -> None:
    gone = (NO_ROUTE, NO_ROUTE)
    order = given(sniper(), *TRIGGERED)
    order.when(router.decide, gone).then_one(OrderRearmed, reason="no-route", slot=8)
    given(market()).when(router.decide, gone).then_refused(VenueRefusal)


@pytest.mark.parametrize(
    "codes",
    [("pool-not-found",), ("amount-too-small", "insufficient-liquidity"), ("pool-disabled",)],
)
def test_a_triggered_order_is_rearmed_on_a_refusal_that_may_pass(codes: tuple[str, ...]) -> None:
    quotes = tuple(Quote("raydium", "p", 0, 0, 0, 7, code) for code in codes)
    for submitted in (limit("150"), sniper()):
        order = given(submitted, *TRIGGERED)
        rearmed = order.when(router.decide, quotes).then_one(OrderRearmed, reason=codes[-1])
        assert_replays(order.state, rearmed)
    order = given(limit("150"), *TRIGGERED)
    order.when(router.decide, (Quote("raydium", "p", 0, 0, 0, 7, "wrong"),)).then_refused(
        VenueRefusal
    )


# -- back to waiting -------------------------------------------------------------------------------


def test_a_price_that_touched_and_retreated_sends_a_limit_order_back() -> None:
    order = given(limit("153.3333334"), *TRIGGERED)
    rearmed = OrderRearmed(
        "router", "quote-below-target", 8, 230_000_000, 230_000_001, QUOTES, 9, 6
    )
    order.when(router.decide, QUOTES).then(rearmed)
    assert_replays(order.state, rearmed)


def test_the_pause_of_an_order_doubles_with_repeated_retreats_up_to_64_slots() -> None:
    order = given(limit("999"), *TRIGGERED)
    pauses = []
    for _ in range(11):
        rearmed = order.when(router.decide, QUOTES).then_one(OrderRearmed, slot=8)
        pauses.append(max(rearmed.paused_until_slot, 8) - 7)
        for fact in (rearmed, with_the_pause_in_its_slot(rearmed)):
            assert_replays(order.state, fact)
        order = order.followed_by(OrderRearmed("r", "x", 7, 0, 0), *TRIGGERED[1:])
    assert pauses == [1, 1, 1, 1, 2, 4, 8, 16, 32, 64, 64]


def with_the_pause_in_its_slot(fact: OrderRearmed) -> OrderRearmed:
    """The event as builds wrote it that did not record pauses."""
    return replace(fact, slot=fact.paused_until_slot or fact.slot, paused_until_slot=0)


def test_an_order_that_waits_again_keeps_no_warnings_of_any_quote() -> None:
    order = given(limit("999"), *TRIGGERED)
    order.when(router.decide, WARNED).then_one(OrderRearmed, quotes=QUOTES)


def test_quotes_name_the_slot_after_which_an_order_waits_again() -> None:
    late = Quote("raydium", "r", 1_500_000_000, 1, 0, 99)
    order = given(limit("150"), *TRIGGERED)
    order.when(router.decide, (late,)).then_one(OrderRearmed, slot=100)


def assert_replays(order: Order, fact: Fact) -> None:
    """An audit that repeats the decision on what the event recorded comes to the same event."""
    assert CHECKS[type(fact)](order, fact) == [fact]


# -- the stage -------------------------------------------------------------------------------------


def test_the_stage_requests_quotes_of_each_order_and_respects_both_limits() -> None:
    market_: Any = SimpleNamespace(quotes=lambda order: (f"quotes of {order}",))
    stage = router.stage(market_)
    assert stage.ask(["a", "b"]) == [("quotes of a",), ("quotes of b",)]  # type: ignore[list-item]  # stand for orders
    assert (stage.name, stage.begin, stage.decide) == ("router", router.begin, router.decide)
    assert (stage.needs_permit, stage.paced) == (True, True)
