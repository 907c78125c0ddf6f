"""What a refusal and an expiry mean for an order: another attempt, or its end."""

from __future__ import annotations

import pytest

from events.order import Order
from events.reason_codes import ReasonCode
from events.types import AttemptFailed, Fact, OrderExpired, OrderFailed, OrderSubmitted
from stages.runtime.retry import OUTAGES, RetryPolicy, after_expiry, after_refusal
from stages.runtime.stage import VenueRefusal
from tests.support.histories import DEAD, SENT, TRIGGERED, limit, market, sniper
from tests.support.specification import Decision, Specification, given

POLICY = RetryPolicy(attempts_max=3, base_ms=100, max_ms=250)
TIMEOUT = VenueRefusal("venue-timeout", "slow", retryable=True)
SLIPPAGE = VenueRefusal("slippage-exceeded", retryable=True)
UNDER_WAY = [(market(), ()), (limit("150"), TRIGGERED), (sniper(), TRIGGERED)]
BOTH_STAGES = pytest.mark.parametrize("stage", ["router", "builder"])


def refused(
    order: Specification[Order],
    error: VenueRefusal,
    *,
    stage: str = "router",
    policy: RetryPolicy = POLICY,
) -> Decision:
    """What becomes of an order whose venue refuses it at 1 s, without jitter."""
    return order.when(after_refusal, stage, error, policy, now_us=1_000_000, jitter=0.0)


# -- a refusal of the order ------------------------------------------------------------------------


def test_a_retryable_refusal_is_an_attempt_with_the_time_of_the_next() -> None:
    refused(given(market()), TIMEOUT).then_retry(
        AttemptFailed("router", 1, "venue-timeout", "slow", 1_100_000), wait_ms=100
    )


def test_the_last_attempt_fails_the_order() -> None:
    order = given(market(), SENT[0], AttemptFailed("router", 2, "x", "", 0))
    refused(order, TIMEOUT).then(OrderFailed("router", "venue-timeout", 3, "slow"))


def test_a_final_refusal_fails_the_order_at_once() -> None:
    refused(given(market()), VenueRefusal("venue-timeout", "slow")).then(
        OrderFailed("router", "venue-timeout", 1, "slow")
    )


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_an_ioc_or_fok_order_is_not_retried(time_in_force: str) -> None:
    order = given(market(min_amount_out=1, time_in_force=time_in_force))
    refused(order, TIMEOUT).then(OrderFailed("router", "venue-timeout", 1, "slow"))


@BOTH_STAGES
def test_no_failure_ends_a_limit_order_but_a_sniper_gives_up(stage: str) -> None:
    failures = tuple(AttemptFailed(stage, n, "x", "", 0) for n in (1, 2, 3, 4))
    patient = given(limit("150"), *TRIGGERED, *failures)
    refused(patient, SLIPPAGE, stage=stage).then_one(AttemptFailed)
    refused(given(sniper(), *TRIGGERED, *failures), SLIPPAGE, stage=stage).then_one(OrderFailed)
    refused(patient, VenueRefusal("insufficient-funds"), stage=stage).then_one(OrderFailed)


# -- an outage of the nodes ------------------------------------------------------------------------


def test_an_outage_is_written_down_with_its_reason_and_the_time_of_the_next_attempt() -> None:
    refused(given(market()), VenueRefusal("venue-unavailable", "busy", retryable=True)).then_retry(
        AttemptFailed("router", 0, "venue-unavailable", "busy", 1_100_000), wait_ms=100
    )


@BOTH_STAGES
@pytest.mark.parametrize("code", sorted(OUTAGES))
@pytest.mark.parametrize(("submitted", "triggered"), UNDER_WAY, ids=["market", "limit", "sniper"])
def test_an_outage_of_the_nodes_spends_no_attempt_of_any_order(
    stage: str, code: ReasonCode, submitted: OrderSubmitted, triggered: tuple[Fact, ...]
) -> None:
    policy = RetryPolicy(attempts_max=1, base_ms=100, max_ms=1_000)
    order = given(submitted, *triggered)
    for wait_ms in (100, 200, 400, 800, 1_000, 1_000):
        attempt = AttemptFailed(stage, 0, code, "", 1_000_000 + wait_ms * 1000)
        refused(order, VenueRefusal(code), stage=stage, policy=policy).then_retry(attempt, wait_ms)
        order = order.followed_by(attempt)
    assert order.state.outages == 6
    refused(order, SLIPPAGE, stage=stage, policy=policy).then_one(
        AttemptFailed if order.state.patient else OrderFailed
    )


def test_an_ioc_or_fok_order_does_not_wait_for_nodes() -> None:
    order = given(market(min_amount_out=1, time_in_force="IOC"))
    refused(order, VenueRefusal("quotes-stale", retryable=True)).then(
        OrderFailed("router", "quotes-stale", 1)
    )


# -- expiry ----------------------------------------------------------------------------------------


def test_an_order_expires_before_the_send_and_fails_once_it_was_submitted() -> None:
    given(market()).when(after_expiry, "router").then_one(OrderExpired)
    given(market(), *SENT, DEAD).when(after_expiry, "builder").then(
        OrderFailed("builder", "expired", 1)
    )


def test_an_expiry_is_written_down_with_its_stage() -> None:
    given(market(expires_at_us=5)).when(after_expiry, "builder").then(
        OrderExpired("builder", "expires-at-passed", 0)
    )


def test_after_the_send_no_refusal_and_no_expiry_can_end_an_order() -> None:
    sent = given(market(), *SENT)
    final = VenueRefusal("venue-timeout", "slow")
    refused(sent, final).then_refused(RuntimeError, "order id-1 is sent")
    sent.when(after_expiry, "confirmer").then_refused(RuntimeError, "order id-1 is sent")


# -- the wait --------------------------------------------------------------------------------------


def test_backoff_doubles_up_to_its_bound_and_jitter_takes_at_most_half() -> None:
    assert [POLICY.backoff_ms(n, 0.0) for n in (1, 2, 3, 9)] == [100, 200, 250, 250]
    assert POLICY.backoff_ms(1, 0.999) >= 50


def test_the_wait_is_half_of_the_backoff_at_the_least_and_never_nothing() -> None:
    waits = [POLICY.backoff_ms(attempt, jitter) for attempt in (1, 2, 3) for jitter in (0, 0.5, 1)]
    assert waits == [100, 75, 50, 200, 150, 100, 250, 187, 125]
    assert RetryPolicy(3, base_ms=1, max_ms=1).backoff_ms(1, 1) == 1
