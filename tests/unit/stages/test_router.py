"""What a route records: every field, since the event is all that builder, API and audit have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from events import types as t
from events.types import Quote, TokenWarning
from stages import router
from stages.runtime.stage import VenueRefusal
from tests.unit.stages.test_decide import METEORA, NO_ROUTE, RAYDIUM, TIMEOUT, order_after
from tests.unit.stages.test_decide_waiting import TRIGGERED, limit, sniper

WARNED = tuple(
    replace(quote, warnings=(TokenWarning("freeze-authority", "USDC"),))
    for quote in (RAYDIUM, METEORA)
)


def test_a_route_of_an_exact_input_records_its_quote_and_no_input_of_its_own() -> None:
    assert router.decide(order_after(), (RAYDIUM, METEORA)) == [
        t.OrderRouted(
            dex="meteora",
            pool="m",
            amount_out=230_000_000,
            min_amount_out=228_850_000,
            price="153.333333333",
            quotes=(RAYDIUM, METEORA),
            decimals_in=9,
            decimals_out=6,
            chosen=1,
            amount_in=0,
            max_amount_in=0,
        )
    ]


def test_a_route_of_an_exact_output_takes_the_least_input_and_promises_that_output() -> None:
    order = order_after(exact_amount_out=230_000_000)
    dearer = replace(RAYDIUM, amount_in=1_500_000_001, amount_out=999_000_000)
    assert router.decide(order, (dearer, METEORA)) == [
        t.OrderRouted(
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
    ]


def test_of_a_route_only_the_chosen_quote_keeps_its_warnings() -> None:
    [routed] = router.decide(order_after(), WARNED)
    assert isinstance(routed, t.OrderRouted)
    assert routed.quotes == (RAYDIUM, WARNED[1])


def test_an_order_that_waits_again_keeps_no_warnings_of_any_quote() -> None:
    [retreated] = router.decide(limit("999", *TRIGGERED), WARNED)
    assert isinstance(retreated, t.OrderRearmed)
    assert retreated.quotes == (RAYDIUM, METEORA)


def test_without_any_quote_an_order_that_waits_goes_on_waiting() -> None:
    for order in (limit("150", *TRIGGERED), sniper(*TRIGGERED)):
        assert router.decide(order, ()) == [t.OrderRearmed("router", "no-route", 8, 0, 0, (), 9, 6)]


def test_the_least_output_of_a_limit_order_may_be_all_of_a_u64_and_no_more() -> None:
    [back] = router.decide(limit("12297829382473.03441", *TRIGGERED), (RAYDIUM, METEORA))
    assert isinstance(back, t.OrderRearmed)
    assert back.min_amount_out == t.U64_MAX
    assert refusal(limit("12297829382473.034411", *TRIGGERED), METEORA) == (
        "amount-too-large", "the least output exceeds what a u64 holds",
    )  # fmt: skip


def test_a_refusal_tells_the_amounts_or_what_each_venue_said() -> None:
    assert refusal(order_after(min_amount_out=230_000_001), METEORA) == (
        "quote-below-minimum", "best quote 230000000, minimum 230000001",
    )  # fmt: skip
    exact = order_after(exact_amount_out=230_000_000, max_amount_in=1_499_999_999)
    assert refusal(exact, METEORA) == (
        "quote-above-maximum", "best quote 1500000000, maximum 1499999999",
    )  # fmt: skip
    assert refusal(order_after(), NO_ROUTE, TIMEOUT) == ("venue-timeout", "no-route, venue-timeout")
    assert refusal(order_after(), NO_ROUTE, NO_ROUTE) == ("no-route", "no-route, no-route")


def refusal(order: Any, *quotes: Quote) -> tuple[str, str]:
    with pytest.raises(VenueRefusal) as refused:
        router.decide(order, quotes)
    return refused.value.code, refused.value.detail


def test_the_stage_asks_the_market_for_each_order_and_keeps_to_both_limits() -> None:
    asked: Any = SimpleNamespace(quotes=lambda order: (f"quotes of {order}",))
    stage = router.stage(asked)
    assert stage.ask(["a", "b"]) == [("quotes of a",), ("quotes of b",)]  # type: ignore[list-item]
    assert (stage.name, stage.begin, stage.decide) == ("router", router.begin, router.decide)
    assert (stage.needs_permit, stage.paced) == (True, True)
