"""What each stage decides on what it learned: pure, so a table of cases says it all."""

import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from events import types as t
from events.order import Order
from events.secret import SecretBytes
from events.streams.hash_chain import GENESIS, new_events
from events.types import Quote
from stages import builder, confirmer, router, submitter
from stages.runtime.retry import RetryPolicy, after_expiry, after_refusal
from stages.runtime.stage import Later, NotYet, VenueRefusal
from stages.venues import Built, Outcome
from tests.unit.events.test_order import LIFE

RAYDIUM = Quote("raydium", "r", 1_500_000_000, 224_000_000, 3_750_000, 7)
METEORA = Quote("meteora", "m", 1_500_000_000, 230_000_000, 3_000_000, 7)
NO_ROUTE = Quote("raydium", "", 1_500_000_000, 0, 0, 0, "no-route")
TIMEOUT = Quote("meteora", "", 1_500_000_000, 0, 0, 0, "venue-timeout")
POLICY = RetryPolicy(attempts_max=3, base_ms=100, max_ms=250)


def order_after(*facts: t.Fact, **submitted: object) -> Order:
    first = t.OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50, **submitted)  # type: ignore[arg-type]
    return new_events(Order("id-1"), GENESIS, [first, *facts], time_us=1000, build="b").order


SENT = order_after(*LIFE[1:5])


def test_the_best_net_output_wins_and_fixes_the_minimum() -> None:
    [routed] = router.decide(order_after(), (RAYDIUM, METEORA))
    assert isinstance(routed, t.OrderRouted)
    assert (routed.dex, routed.amount_out, routed.min_amount_out) == (
        "meteora", 230_000_000, 228_850_000,
    )  # fmt: skip
    assert routed.quotes == (RAYDIUM, METEORA)
    assert routed.price == "153.333333333"


def test_of_equal_quotes_the_first_wins() -> None:
    [routed] = router.decide(order_after(), (RAYDIUM, Quote("meteora", "m", 1, 224_000_000, 0, 7)))
    assert isinstance(routed, t.OrderRouted)
    assert routed.dex == "raydium"


def test_an_explicit_minimum_is_kept_as_it_is() -> None:
    [routed] = router.decide(order_after(min_amount_out=229_999_999), (RAYDIUM, METEORA))
    assert isinstance(routed, t.OrderRouted)
    assert routed.min_amount_out == 229_999_999


def test_a_quote_below_the_minimum_fails_the_order() -> None:
    with pytest.raises(VenueRefusal) as refused:
        router.decide(order_after(min_amount_out=230_000_001), (RAYDIUM, METEORA))
    assert (refused.value.code, refused.value.retryable) == ("quote-below-minimum", False)


def test_an_exact_output_never_takes_more_than_was_said_or_fixed_before() -> None:
    exact = order_after(exact_amount_out=230_000_000, max_amount_in=1_500_000_000)
    [routed] = router.decide(exact, (METEORA,))
    assert isinstance(routed, t.OrderRouted)
    assert (routed.amount_in, routed.max_amount_in) == (1_500_000_000, 1_500_000_000)
    with pytest.raises(VenueRefusal) as refused:
        router.decide(exact, (replace(METEORA, amount_in=1_500_000_001),))
    assert (refused.value.code, refused.value.retryable) == ("quote-above-maximum", False)


def test_the_most_that_an_exact_output_takes_is_fixed_by_the_first_route() -> None:
    first = order_after(exact_amount_out=230_000_000)
    [routed] = router.decide(first, (METEORA,))
    assert isinstance(routed, t.OrderRouted)
    assert routed.max_amount_in == 1_507_500_000
    again = order_after(t.RoutingStarted(), routed, exact_amount_out=230_000_000)
    [rerouted] = router.decide(again, (replace(METEORA, amount_in=1_507_000_000),))
    assert isinstance(rerouted, t.OrderRouted)
    assert (rerouted.amount_in, rerouted.max_amount_in) == (1_507_000_000, 1_507_500_000)


def test_one_venue_that_fails_costs_its_own_quote_only() -> None:
    [routed] = router.decide(order_after(), (NO_ROUTE, METEORA))
    assert isinstance(routed, t.OrderRouted)
    assert (routed.dex, routed.quotes[0].error) == ("meteora", "no-route")


@pytest.mark.parametrize(
    ("quotes", "code", "retryable"),
    [
        ((NO_ROUTE, NO_ROUTE), "no-route", False),
        ((NO_ROUTE, TIMEOUT), "venue-timeout", True),
        ((), "no-route", False),
    ],
)
def test_no_quote_at_all_is_retried_only_where_that_can_help(
    quotes: tuple[Quote, ...], code: str, retryable: bool
) -> None:
    with pytest.raises(VenueRefusal) as refused:
        router.decide(order_after(), quotes)
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


def test_routing_begins_once() -> None:
    assert router.begin(order_after()) == t.RoutingStarted()
    assert router.begin(order_after(t.RoutingStarted())) is None


def test_the_builder_records_the_bytes_under_the_next_attempt_number() -> None:
    order = order_after(*LIFE[1:5], t.TransactionExpired(1, "sig-1", 10, 11))
    [built] = builder.decide(order, Built("sig-2", SecretBytes(b"raw-2"), 99))
    assert built == t.TransactionBuilt(2, "sig-2", 99, SecretBytes(b"raw-2"))


def test_the_submitter_says_the_signature_that_the_builder_recorded() -> None:
    assert submitter.decide(order_after(*LIFE[1:4]), None) == [t.TransactionSubmitted(1, "sig-1")]


def decide(order: Order, outcome: Outcome) -> list[t.Fact] | NotYet:
    return confirmer.decide(order, outcome, attempts_max=3)


def test_a_landed_transaction_confirms_the_order_at_the_executed_price() -> None:
    assert decide(SENT, Outcome("landed", 225_000_000, 8)) == [
        t.OrderConfirmed("sig-1", 225_000_000, "150", 6, 8)
    ]


def test_a_transaction_that_failed_on_chain_fails_the_order_for_its_reason() -> None:
    assert decide(SENT, Outcome("failed", reason="slippage-exceeded")) == [
        t.OrderFailed("confirmer", "slippage-exceeded", 1)
    ]


@pytest.mark.parametrize("finalized_height", [0, 9, 10])
def test_absent_is_no_proof_of_death_while_it_may_still_land(finalized_height: int) -> None:
    outcome = Outcome("absent", finalized_height=finalized_height)
    assert isinstance(decide(SENT, outcome), NotYet)


def test_absent_past_the_last_valid_height_is_proof_of_death() -> None:
    assert decide(SENT, Outcome("absent", finalized_height=11)) == [
        t.TransactionExpired(1, "sig-1", 10, 11)
    ]


def test_the_last_transaction_proved_dead_fails_the_order() -> None:
    order = order_after(*LIFE[1:4], t.AttemptFailed("submitter", 2, "x", "", 0), LIFE[4])
    assert decide(order, Outcome("absent", finalized_height=11)) == [
        t.TransactionExpired(1, "sig-1", 10, 11),
        t.OrderFailed("confirmer", "transaction-expired", 3),
    ]


def test_not_knowing_is_said_once_and_is_never_an_end() -> None:
    unknown = Outcome("unknown", reason="no-answer", finalized_height=99)
    assert decide(SENT, unknown) == [t.TransactionInDoubt("sig-1", "no-answer")]
    in_doubt = order_after(*LIFE[1:5], t.TransactionInDoubt("sig-1", "no-answer"))
    assert isinstance(decide(in_doubt, unknown), NotYet)


def refusal(order: Order, *, retryable: bool, jitter: float = 0.0) -> tuple[t.Fact, int]:
    error = VenueRefusal("venue-timeout", "slow", retryable=retryable)
    return after_refusal(order, "router", error, POLICY, now_us=1_000_000, jitter=jitter)


def test_a_retryable_refusal_is_an_attempt_that_says_when_the_next_is() -> None:
    assert refusal(order_after(), retryable=True) == (
        t.AttemptFailed("router", 1, "venue-timeout", "slow", 1_100_000), 100,
    )  # fmt: skip


def test_the_last_attempt_fails_the_order() -> None:
    order = order_after(t.RoutingStarted(), t.AttemptFailed("router", 2, "x", "", 0))
    assert refusal(order, retryable=True) == (
        t.OrderFailed("router", "venue-timeout", 3, "slow"), 0,
    )  # fmt: skip


def test_a_final_refusal_fails_the_order_at_once() -> None:
    assert refusal(order_after(), retryable=False)[0] == t.OrderFailed(
        "router", "venue-timeout", 1, "slow"
    )


def test_backoff_doubles_up_to_its_bound_and_jitter_takes_at_most_half() -> None:
    assert [POLICY.backoff_ms(n, 0.0) for n in (1, 2, 3, 9)] == [100, 200, 250, 250]
    assert POLICY.backoff_ms(1, 0.999) >= 50


def test_after_the_send_no_refusal_and_no_expiry_can_end_an_order() -> None:
    with pytest.raises(RuntimeError, match="order id-1 is sent"):
        refusal(SENT, retryable=False)
    with pytest.raises(RuntimeError, match="order id-1 is sent"):
        after_expiry(SENT, "confirmer")


def test_an_order_expires_before_the_send_and_fails_once_it_was_submitted() -> None:
    assert isinstance(after_expiry(order_after(), "router"), t.OrderExpired)
    dead = order_after(*LIFE[1:5], t.TransactionExpired(1, "sig-1", 10, 11))
    assert after_expiry(dead, "builder") == t.OrderFailed("builder", "expired", 1)


def test_the_confirmer_asks_often_at_first_and_then_in_the_rhythm_of_the_rebroadcast() -> None:
    chain = SimpleNamespace(first_wait_ms=3)
    stage = confirmer.stage(chain, attempts_max=3, rebroadcast_ms=2000)
    sent_us = SENT.transaction.submitted_at_us if SENT.transaction else 0
    waits = [stage.wait_ms(SENT, sent_us + ms * 1000) for ms in (0, 2, 100, 60_000)]
    assert waits == [3, 3, 50, 2000]


def test_sends_whose_end_another_process_sees_are_forgotten_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirmer, "SENDS_KEPT", 10)
    sends = confirmer.Sends()
    for number in range(100):
        sends.judge(f"sig-of-others-{number}", TimeoutError())
    assert SENT.transaction is not None
    sends.judge(SENT.transaction.signature, TimeoutError())
    assert len(sends._taken) == 10
    dead = Outcome("absent", finalized_height=SENT.transaction.last_valid_height + 1)
    assert not sends.judged(SENT, dead).handed_over


@pytest.mark.parametrize("behind_s", [3, 600])
async def test_where_clocks_disagree_the_bytes_are_sent_again_all_the_same(behind_s: int) -> None:
    """The sender's clock is ahead, or ours was set back: its word of the send lies in the future.
    A transaction lives half a minute, and would be sent once only.
    """
    sent: list[bytes] = []

    async def send(transactions: Sequence[bytes]) -> None:
        sent.extend(transactions)

    chain = SimpleNamespace(
        first_wait_ms=3, send=send, outcomes=lambda some: [Outcome("absent")] * len(some)
    )
    assert SENT.transaction is not None
    ahead_us = time.time_ns() // 1000 + behind_s * 1_000_000
    order = replace(SENT, transaction=replace(SENT.transaction, submitted_at_us=ahead_us))
    stage = confirmer.stage(chain, attempts_max=3, rebroadcast_ms=2000)
    [answer] = stage.ask([order])
    assert isinstance(answer, Later)
    assert await answer.awaitable == Outcome("absent")
    assert sent == [SENT.transaction.raw]
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
def test_a_transaction_is_handed_over_unless_nodes_were_away_at_each_send(
    errors: list[VenueRefusal | OSError | None], handed_over: bool
) -> None:
    sends = confirmer.Sends()
    assert SENT.transaction is not None
    for error in errors:
        sends.judge(SENT.transaction.signature, error)
    alive = Outcome("absent", finalized_height=SENT.transaction.last_valid_height)
    assert sends.judged(SENT, alive) is alive
    dead = Outcome("absent", finalized_height=SENT.transaction.last_valid_height + 1)
    assert sends.judged(SENT, dead).handed_over is handed_over


def test_the_wait_is_half_of_the_backoff_at_the_least_and_never_nothing() -> None:
    waits = [POLICY.backoff_ms(attempt, jitter) for attempt in (1, 2, 3) for jitter in (0, 0.5, 1)]
    assert waits == [100, 75, 50, 200, 150, 100, 250, 187, 125]
    assert RetryPolicy(3, base_ms=1, max_ms=1).backoff_ms(1, 1) == 1


def test_an_outage_is_written_down_with_its_reason_and_the_time_of_the_next_attempt() -> None:
    error = VenueRefusal("venue-unavailable", "busy", retryable=True)
    told = after_refusal(order_after(), "router", error, POLICY, now_us=1000, jitter=0)
    assert told == (t.AttemptFailed("router", 0, "venue-unavailable", "busy", 101_000), 100)


def test_an_expiry_is_written_down_with_its_stage() -> None:
    expired = after_expiry(order_after(expires_at_us=5), "builder")
    assert expired == t.OrderExpired("builder", "expires-at-passed", 0)
