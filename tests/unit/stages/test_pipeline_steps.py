"""The pure steps of the pipeline: whose turn it is, and whose fault a fault is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.order import Order, Transaction
from events.secret import SecretBytes
from events.types import Status
from stages.runtime.admit import Turn, decide_turn
from stages.runtime.ask import isolate
from stages.runtime.retry import RetryPolicy

RETRY = RetryPolicy(3, 500, 30_000)
NOW_US = 10_000_000
SENT = Transaction(1, "sig", 11, SecretBytes(b"raw"), submitted_at_us=1)


@pytest.mark.parametrize(
    ("order", "turn"),
    [
        (Order("id-1"), Turn.DUE),
        (Order("id-1", expires_at_us=NOW_US + 1), Turn.DUE),
        (Order("id-1", expires_at_us=NOW_US), Turn.EXPIRED),
        (
            Order("id-1", status=Status.SUBMITTED, transaction=SENT, expires_at_us=NOW_US),
            Turn.DUE,
        ),
        (Order("id-1", next_attempt_at_us=NOW_US + 5_000), 6),
        (Order("id-1", next_attempt_at_us=NOW_US), Turn.DUE),
        (Order("id-1", next_attempt_at_us=NOW_US + 30_000_001), Turn.DUE),
    ],
)
def test_the_next_stage_of_an_order_follows_from_its_state(order: Order, turn: Turn | int) -> None:
    assert decide_turn(order, RETRY, NOW_US) == turn


def test_a_failing_item_of_a_batch_does_not_fail_the_others() -> None:
    calls: list[list[int]] = []

    def call(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        if 0 in items:
            raise ZeroDivisionError
        return [10 // item for item in items]

    assert isolate(call, [1, 2]) == [10, 5]
    assert calls == [[1, 2]]
    first, fault, last = isolate(call, [1, 0, 5])
    assert (first, last) == (10, 2)
    assert isinstance(fault, ZeroDivisionError)
    [alone] = isolate(call, [0])
    assert isinstance(alone, ZeroDivisionError)
    assert calls == [[1, 2], [1, 0, 5], [1], [0], [5], [0]]
