"""The helper `given(history).when(decide, answer).then(facts)` fails where it should."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from events.order import Order
from events.types import Fact, OrderCancelled, OrderFailed
from stages.runtime.stage import NOT_YET, NotYet
from tests.support.histories import ARMED, SENT, market
from tests.support.specification import Decision, given, given_engine, given_keys

CANCELLED = OrderCancelled("ann")
FAILED = OrderFailed("router", "no-route", 1)


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ([CANCELLED], lambda decision: decision.then()),
        ([CANCELLED], lambda decision: decision.then(FAILED)),
        ([CANCELLED, FAILED], lambda decision: decision.then(CANCELLED)),
        ((CANCELLED, 100), lambda decision: decision.then(CANCELLED)),
        ((CANCELLED, 100), lambda decision: decision.then_retry(CANCELLED, 101)),
        ([CANCELLED], lambda decision: decision.then_one(OrderCancelled, actor="bob")),
        ([CANCELLED, FAILED], lambda decision: decision.then_one(OrderCancelled)),
        ([CANCELLED], lambda decision: decision.then_kinds(OrderFailed)),
        ([CANCELLED], lambda decision: decision.then_wait()),
        (NOT_YET, lambda decision: decision.then()),
        ([CANCELLED], lambda decision: decision.then_refused(ValueError)),
    ],
)
def test_a_decision_other_than_the_expected_one_fails_the_assertion(
    answer: Sequence[Fact] | tuple[Fact, int] | NotYet, then: Callable[[Decision], object]
) -> None:
    decision = given(market()).when(lambda _: answer)
    with pytest.raises(AssertionError):
        then(decision)


def test_an_error_is_raised_unless_it_is_the_expected_one() -> None:
    def refuses(_: Order) -> list[Fact]:
        raise ValueError("too late")

    decision = given(market()).when(refuses)
    decision.then_refused(ValueError, "late")
    for then in (decision.then, decision.then_wait):
        with pytest.raises(ValueError, match="too late"):
            then()
    with pytest.raises(AssertionError):
        decision.then_refused(ValueError, "early")
    with pytest.raises(AssertionError):
        decision.then_refused(KeyError)


def test_a_history_that_cannot_have_happened_fails() -> None:
    for history in ((ARMED,), (market(), *SENT, SENT[0]), (market(), CANCELLED, ARMED)):
        with pytest.raises(AssertionError, match="cannot follow"):
            given(*history)
    for given_stream in (given_engine, given_keys):
        with pytest.raises(AssertionError, match="cannot follow"):
            given_stream(market())


def test_a_decision_that_changes_its_order_fails() -> None:
    def changes(order: Order) -> list[Fact]:
        order.attempts += 1
        return []

    with pytest.raises(AssertionError, match="pure"):
        given(market()).when(changes)
