"""What the chain's record means for a parked order that is settled by it."""

from __future__ import annotations

import pytest

from events.order import Order
from events.order.next_stage import executed_reason
from events.types import (
    Fill,
    OrderConfirmed,
    OrderFailed,
    OrderParked,
    OrderSubmitted,
    RoutingStarted,
    TransactionExpired,
    TransactionRecovered,
)
from stages import settlement
from stages.runtime.stage import VenueRefusal
from stages.venues import Outcome
from stages.venues.record import Record
from tests.support.histories import SENT, TRIGGERED, limit, market, sniper
from tests.support.specification import Decision, Specification, given

PARKED = OrderParked("router", executed_reason(["sig-9"]), "engine")
LANDED = Outcome("landed", 225_000_000, 8, amount_in=1_500_000_000)
OWN = ("id-1",)


def record(outcome: Outcome = LANDED, orders: tuple[str, ...] = OWN, **fields: object) -> Record:
    return Record("sig-9", outcome, orders, **fields)  # type: ignore[arg-type]  # the tests name its fields


def checked(order: Specification[Order], record_: Record, *, known: bool = False) -> Decision:
    return order.when(settlement.check, record_, known=known)


MARKET = given(market(), RoutingStarted(), PARKED)


# -- whether a record is the order's ---------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_a_record_that_names_the_order_and_keeps_its_terms_is_the_orders(known: bool) -> None:
    checked(MARKET, record(tokens=("SOL", "USDC")), known=known).then()


@pytest.mark.parametrize(
    ("orders", "outcome", "known", "detail"),
    [
        (("id-2",), LANDED, False, "sig-9 names id-2"),
        (("id-1", "id-2"), LANDED, True, "sig-9 names id-1, id-2"),
        ((), LANDED, True, "sig-9 names no order"),
        ((), Outcome("failed", reason="slippage-exceeded"), False, "sig-9 names no order"),
    ],
)
def test_a_transaction_of_another_order_settles_nothing(
    orders: tuple[str, ...], outcome: Outcome, known: bool, detail: str
) -> None:
    checked(MARKET, record(outcome, orders), known=known).then_refused(
        VenueRefusal, code="transaction-of-another-order", detail=detail
    )


def test_a_landed_transaction_that_names_no_order_is_judged_by_its_amounts() -> None:
    checked(MARKET, record(orders=())).then()


@pytest.mark.parametrize(
    ("submitted", "outcome", "why"),
    [
        (
            market(),
            Outcome("landed", 225_000_000, 8, amount_in=1_499_999_999),
            "it took 1.499999999 SOL, the order gives 1.5 SOL",
        ),
        (market(min_amount_out=225_000_001), LANDED, "it gave 225 USDC, the order asks for "),
        (
            market(exact_amount_out=225_000_001),
            LANDED,
            "it gave 225 USDC, the order asks for 225.000001 USDC",
        ),
        (
            market(exact_amount_out=225_000_000, max_amount_in=1_499_999_999),
            LANDED,
            "it took 1.5 SOL, the order allows 1.499999999 SOL",
        ),
        (limit("150.1"), LANDED, "the order asks for at least 225.15 USDC"),
        (sniper(max_price="0.0066"), LANDED, "the order asks for at least 227.272728 USDC"),
        (sniper(target_price="150.1"), LANDED, "the order asks for at least 225.15 USDC"),
    ],
)
def test_amounts_outside_the_terms_settle_an_order_only_by_its_known_transaction(
    submitted: OrderSubmitted, outcome: Outcome, why: str
) -> None:
    before = TRIGGERED if submitted.order_type != "market" else ()
    order = given(submitted, *before, PARKED)
    checked(order, record(outcome)).then_refused(
        VenueRefusal, f"sig-9: .*{why}", code="transaction-does-not-fit"
    )
    checked(order, record(outcome), known=True).then()


def test_a_swap_of_other_tokens_settles_no_order_even_by_its_known_transaction() -> None:
    checked(MARKET, record(tokens=("USDC", "SOL")), known=True).then_refused(
        VenueRefusal, code="transaction-does-not-fit", detail="sig-9 swaps USDC for SOL"
    )


# -- the end of an order ---------------------------------------------------------------------------


def test_a_landed_record_confirms_the_order_with_the_swaps_of_the_record() -> None:
    fills = (Fill("p", "SOL", "USDC", 9, 6, 1_500_000_000, 225_000_000),)
    MARKET.when(
        settlement.recovered,
        record(dex="raydium", pool="p", fills=fills),
        "by the record",
        "ann",
        ["sig-8"],
    ).then(
        TransactionRecovered("sig-9", "by the record", "ann", "raydium", "p", ("sig-8",)),
        OrderConfirmed(
            "sig-9", 225_000_000, "150", 6, 8, amount_in=1_500_000_000, decimals_in=9, fills=fills
        ),
    )


def test_a_failed_record_fails_the_order_with_its_fee() -> None:
    failed = Outcome("failed", reason="slippage-exceeded", fee_lamports=5_000)
    MARKET.when(settlement.recovered, record(failed), "by the record", "ann").then(
        TransactionRecovered("sig-9", "by the record", "ann"),
        OrderFailed("operator", "slippage-exceeded", 1, actor="ann", fee_lamports=5_000),
    )


def test_a_transaction_that_was_proved_dead_fails_the_order_in_the_name_of_the_operator() -> None:
    order = given(market(), *SENT, OrderParked("confirmer", "bug", "engine"))
    order.when(settlement.dead, 11, "nowhere", "ann").then(
        TransactionExpired(1, "sig-1", 10, 11),
        OrderFailed("operator", "transaction-expired", 1, detail="nowhere", actor="ann"),
    )
