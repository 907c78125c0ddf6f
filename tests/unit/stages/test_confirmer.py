"""What the confirmer decides on the outcome of a transaction, when it asks, and what it resends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from engine.recovery.replay_checks import CHECKS
from events.order import Order, next_attempt
from events.types import (
    AttemptFailed,
    OrderConfirmed,
    OrderFailed,
    OrderRearmed,
    TransactionExpired,
    TransactionInDoubt,
)
from stages import confirmer
from stages.runtime.stage import Later, VenueRefusal
from stages.venues import Outcome
from tests.support.histories import DEAD, SENT, TRIGGERED, limit, market
from tests.support.specification import Decision, Specification, given

SENT_ORDER = given(market(), *SENT)
ABSENT = Outcome("absent", finalized_height=11)
"""Finalized past the last valid height of the transaction."""
UNKNOWN = Outcome("unknown", reason="no-answer", finalized_height=99)


def after(order: Specification[Order], outcome: Outcome, *, attempts_max: int = 3) -> Decision:
    """What an outcome means for an order."""
    return order.when(confirmer.decide, outcome, attempts_max=attempts_max)


# -- an outcome ------------------------------------------------------------------------------------


def test_a_landed_transaction_confirms_the_order_at_the_executed_price() -> None:
    after(SENT_ORDER, Outcome("landed", 225_000_000, 8)).then(
        OrderConfirmed("sig-1", 225_000_000, "150", 6, 8)
    )


def test_a_transaction_that_failed_on_chain_fails_the_order_for_its_reason() -> None:
    after(SENT_ORDER, Outcome("failed", reason="slippage-exceeded")).then(
        OrderFailed("confirmer", "slippage-exceeded", 1)
    )


def test_a_limit_order_whose_swap_failed_on_chain_is_rearmed_with_the_next_attempt() -> None:
    order = given(limit("150"), *TRIGGERED, *SENT[1:])
    rearmed = OrderRearmed("confirmer", "slippage-exceeded", 21, 0, 190, (), 9, 6)
    after(order, Outcome("failed", slot=20, reason="slippage-exceeded")).then(rearmed)
    assert CHECKS[OrderRearmed](order.state, rearmed) == [rearmed], "an audit comes to the same"
    assert next_attempt(order.followed_by(rearmed, *TRIGGERED[1:]).state) == 2


# -- no outcome ------------------------------------------------------------------------------------


@pytest.mark.parametrize("finalized_height", [0, 9, 10])
def test_an_absent_status_does_not_prove_death_while_it_may_still_land(
    finalized_height: int,
) -> None:
    after(SENT_ORDER, replace(ABSENT, finalized_height=finalized_height)).then_wait()


def test_absent_past_the_last_valid_height_is_proof_of_death() -> None:
    after(SENT_ORDER, ABSENT).then(DEAD)


def test_the_last_transaction_proved_dead_fails_the_order() -> None:
    order = given(market(), *SENT[:3], AttemptFailed("submitter", 2, "x", "", 0), SENT[3])
    after(order, ABSENT).then(DEAD, OrderFailed("confirmer", "transaction-expired", 3))


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_an_ioc_or_fok_order_is_not_sent_again(time_in_force: str) -> None:
    order = given(market(min_amount_out=1, time_in_force=time_in_force), *SENT)
    after(order, ABSENT, attempts_max=9).then_kinds(TransactionExpired, OrderFailed)


def test_no_number_of_dead_transactions_ends_a_limit_order() -> None:
    order = given(limit("150"), *TRIGGERED, *SENT[1:])
    after(order, ABSENT, attempts_max=1).then_kinds(TransactionExpired)


def test_a_dead_transaction_that_no_node_took_spends_no_attempt() -> None:
    refused = after(SENT_ORDER, replace(ABSENT, handed_over=False), attempts_max=1)
    expired = refused.then_one(TransactionExpired, handed_over=False)
    assert SENT_ORDER.followed_by(expired).state.attempts == 0
    after(SENT_ORDER, ABSENT, attempts_max=1).then_kinds(TransactionExpired, OrderFailed)


def test_an_unknown_outcome_is_recorded_once_and_never_ends_the_order() -> None:
    doubt = TransactionInDoubt("sig-1", "no-answer")
    after(SENT_ORDER, UNKNOWN).then(doubt)
    after(SENT_ORDER.followed_by(doubt), UNKNOWN).then_wait()


def test_a_doubt_that_needs_an_operator_is_recorded_once_more() -> None:
    in_doubt = SENT_ORDER.followed_by(TransactionInDoubt("sig-1", "venue-unavailable"))
    missing = Outcome("unknown", reason="method-not-served", detail="getEpochInfo: host: no")
    worse = TransactionInDoubt("sig-1", "method-not-served", "getEpochInfo: host: no")
    after(in_doubt, missing).then(worse)
    again = in_doubt.followed_by(worse)
    for outcome in (
        missing,
        Outcome("unknown", reason="too-few-witnesses", detail="getEpochInfo: host: no"),
        Outcome("unknown", reason="venue-unavailable"),
    ):
        after(again, outcome).then_wait()


# -- asking, and sending again ---------------------------------------------------------------------


def test_the_confirmer_asks_often_at_first_and_then_in_the_rhythm_of_the_rebroadcast() -> None:
    chain = SimpleNamespace(first_wait_ms=3)
    asks = confirmer.Confirmer(chain, attempts_max=3, rebroadcast_ms=2000)
    waits = [asks.wait_ms(SENT_ORDER.state, 1000 + ms * 1000) for ms in (0, 2, 100, 60_000)]
    assert waits == [3, 3, 50, 2000]


def test_sends_that_other_processes_confirm_are_dropped_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirmer, "SENDS_KEPT", 10)
    sends = confirmer.Rebroadcasts()
    for number in range(100):
        sends.record(f"sig-of-others-{number}", TimeoutError())
    sends.record("sig-1", TimeoutError())
    assert len(sends._taken) == 10
    assert not sends.complete(SENT_ORDER.state, ABSENT).handed_over


@pytest.mark.parametrize("behind_s", [3, 600])
async def test_a_transaction_is_rebroadcast_though_clocks_disagree(behind_s: int) -> None:
    """The sender's clock is ahead, or ours was set back: the time of the send lies in the future.

    A transaction lives half a minute, and would be sent once only.
    """
    sent: list[bytes] = []

    async def send(transactions: Sequence[bytes]) -> None:
        sent.extend(transactions)

    chain = SimpleNamespace(
        first_wait_ms=3, send=send, outcomes=lambda some: [Outcome("absent")] * len(some)
    )
    ahead_us = time.time_ns() // 1000 + behind_s * 1_000_000
    order = given(market(), *SENT, time_us=ahead_us).state
    assert order.transaction is not None
    stage = confirmer.stage(chain, attempts_max=3, rebroadcast_ms=2000)
    [answer] = stage.ask([order])
    assert isinstance(answer, Later)
    assert await answer.awaitable == Outcome("absent")
    assert sent == [order.transaction.raw]
    assert stage.wait_ms(order, ahead_us - behind_s * 1_000_000) == 2_000, "and not in a rush"
    # A moment between two machines is none: the fill is looked for at once.
    assert stage.wait_ms(order, ahead_us - 20_000) == 3


@pytest.mark.parametrize(
    ("errors", "handed_over"),
    [
        ([], True),
        ([None], True),
        ([TimeoutError()], False),
        ([VenueRefusal("venue-unavailable"), VenueRefusal("method-not-served")], False),
        ([VenueRefusal("venue-unavailable"), None, TimeoutError()], True),
        ([VenueRefusal("node-refused", "-32602: too large")], True),
    ],
)
def test_a_transaction_counts_as_sent_unless_no_node_was_reachable_at_any_send(
    errors: list[VenueRefusal | OSError | None], handed_over: bool
) -> None:
    sends = confirmer.Rebroadcasts()
    for error in errors:
        sends.record("sig-1", error)
    alive = replace(ABSENT, finalized_height=10)
    assert sends.complete(SENT_ORDER.state, alive) is alive
    assert sends.complete(SENT_ORDER.state, ABSENT).handed_over is handed_over
