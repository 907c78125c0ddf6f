"""What is done about an order that the index of expiries names as due."""

from __future__ import annotations

import pytest

from events import order as orders
from events.log import OrderHead
from events.order.next_stage import executed_reason
from events.types import Fact, OrderAmended, OrderCancelled, OrderParked
from stages.triggers.expiry import (
    LOOK_AGAIN_MS,
    Expire,
    Forget,
    LeaveAlone,
    LookAgain,
    Wait,
    decide_expiry,
)
from tests.support.histories import ARMED, DEAD, SENT, limit, market
from tests.support.specification import given

NOW_US = 5_000_500
EXPIRED = market(expires_at_us=NOW_US)
EXECUTED = OrderParked("router", executed_reason(["sig-9"]), "engine")


def head_of(*history: Fact) -> OrderHead:
    order = given(*history).state
    return OrderHead(order.version, b"", 0, (), orders.encode(order))


@pytest.mark.parametrize(
    "history",
    [
        (EXPIRED,),
        (EXPIRED, *SENT[:3]),
        (EXPIRED, *SENT, DEAD),
        (limit("150", expires_at_us=1), ARMED),
        (EXPIRED, SENT[0], OrderParked("router", "bug", "engine")),
    ],
    ids=["pending", "built", "dead", "resting", "parked"],
)
def test_an_order_without_a_transaction_that_may_land_expires(history: tuple[Fact, ...]) -> None:
    head = head_of(*history)
    assert decide_expiry(head, NOW_US) == Expire(head, given(*history).state)


@pytest.mark.parametrize(
    ("history", "decision"),
    [
        ((market(expires_at_us=NOW_US + 1),), Wait(5001)),  # in whole ms, rounded up
        ((market(expires_at_us=6_000_000),), Wait(6000)),
        ((EXPIRED, *SENT), LookAgain(5000 + LOOK_AGAIN_MS)),
        ((EXPIRED, SENT[0], EXECUTED), LookAgain(5000 + LOOK_AGAIN_MS)),
        ((EXPIRED, OrderCancelled("ann")), Forget()),
        ((limit("150", expires_at_us=1), ARMED, OrderAmended("ann", "150", None)), LeaveAlone()),
    ],
    ids=["a moment early", "put off", "sent", "executed", "ended", "expires no more"],
)
def test_any_other_order_does_not_expire_now(
    history: tuple[Fact, ...], decision: Wait | LookAgain | Forget | LeaveAlone
) -> None:
    decided = decide_expiry(head_of(*history), NOW_US)
    assert (type(decided), decided) == (type(decision), decision)  # tuples are equal across types


def test_expiry_forgets_an_order_without_a_head_and_rechecks_an_unreadable_one() -> None:
    assert isinstance(decide_expiry(None, NOW_US), Forget)
    unreadable = OrderHead(1, b"", 0, (), b"\xc1")
    assert isinstance(decide_expiry(unreadable, NOW_US), LookAgain)
