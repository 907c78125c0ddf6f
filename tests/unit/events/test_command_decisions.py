"""What each command of a person decides: cancel, amend, halt, keys, parked orders and doubts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.commands import api_keys, engine_switch
from events.commands.api_keys import KEYS_MAX, KeyRefused, decide_change, decide_create
from events.commands.doubts import NotAllowed as NotClosed
from events.commands.doubts import decide_close
from events.commands.orders import (
    NEVER,
    CommandOutcome,
    Declined,
    decide_amend,
    decide_cancel,
)
from events.commands.parked import NotAllowed, decide_discard, decide_replay
from events.order.next_stage import executed_reason
from events.streams import KeyRing
from events.types import (
    EngineHalted,
    EngineResumed,
    Fact,
    KeyCreated,
    KeyRevoked,
    KeyRotated,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderFailed,
    OrderParked,
    OrderRequeued,
    TransactionBuilt,
    TransactionInDoubt,
    TransactionSubmitted,
)
from tests.support.histories import ARMED, DEAD, SENT, TRIGGERED, limit, market
from tests.support.specification import given, given_engine, given_keys

PARKED = OrderParked("router", "bug", "engine")
EXECUTED = OrderParked("router", executed_reason(["sig-9"]), "engine")
"""How a repair parks an order that the chain has executed."""


# -- cancel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history",
    [
        (market(),),
        (market(), *SENT[:1]),
        (market(), *SENT[:3]),
        (market(), *SENT, DEAD),
        (market(), *SENT[:1], PARKED),
        (limit("150"), ARMED),
        (limit("150"), *TRIGGERED),
    ],
    ids=["pending", "routing", "built", "dead", "parked", "resting", "triggered"],
)
def test_a_cancel_wins_while_no_transaction_is_out(history: tuple[Fact, ...]) -> None:
    given(*history).when(decide_cancel, "ann", "why").then(OrderCancelled("ann", "why"))


@pytest.mark.parametrize(
    ("history", "outcome"),
    [
        ((market(), OrderCancelled("bob")), CommandOutcome.ALREADY),
        ((market(), *SENT), CommandOutcome.TOO_LATE),
        (
            (market(), *SENT, DEAD, TransactionBuilt(2, "s", 20, SENT[2].raw),  # type: ignore[attr-defined]  # of TransactionBuilt
             TransactionSubmitted(2, "s")),
            CommandOutcome.TOO_LATE,
        ),
        ((market(), OrderExpired("router", "expires-at-passed", 0)), CommandOutcome.TOO_LATE),
        ((market(), *SENT[:1], EXECUTED), CommandOutcome.TOO_LATE),
    ],
    ids=["cancelled", "sent", "sent again", "ended", "executed"],
)  # fmt: skip
def test_a_cancel_is_declined_once_it_was_done_or_the_chain_decides(
    history: tuple[Fact, ...], outcome: CommandOutcome
) -> None:
    order = given(*history)
    order.when(decide_cancel, "ann", "").then_refused(Declined, outcome=outcome, order=order.state)


# -- amend -----------------------------------------------------------------------------------------

RESTING = given(limit("150", expires_at_us=99), ARMED)
VERSION = 2


@pytest.mark.parametrize(
    ("target_price", "expires_at_us", "amended"),
    [
        ("151", None, OrderAmended("ann", "151", 99)),
        (None, 100, OrderAmended("ann", "150", 100)),
        (None, NEVER, OrderAmended("ann", "150", None)),
        ("151", 100, OrderAmended("ann", "151", 100)),
    ],
)
def test_an_amendment_changes_the_terms_that_it_names(
    target_price: str | None, expires_at_us: int | None, amended: OrderAmended
) -> None:
    RESTING.when(decide_amend, VERSION, target_price, expires_at_us, "ann").then(amended)


@pytest.mark.parametrize(
    ("history", "version", "outcome"),
    [
        ((), VERSION - 1, CommandOutcome.CONFLICT),
        ((), VERSION + 1, CommandOutcome.CONFLICT),
        (TRIGGERED[1:], VERSION, CommandOutcome.TOO_LATE),
        ((OrderCancelled("bob"),), VERSION, CommandOutcome.TOO_LATE),
        ((EXECUTED,), VERSION + 1, CommandOutcome.TOO_LATE),
    ],
    ids=["older version", "newer version", "triggered", "cancelled", "executed"],
)
def test_an_amendment_is_declined_at_another_version_and_of_an_order_that_does_not_rest(
    history: tuple[Fact, ...], version: int, outcome: CommandOutcome
) -> None:
    order = RESTING.followed_by(*history)
    order.when(decide_amend, version, "151", None, "ann").then_refused(
        Declined, outcome=outcome, order=order.state
    )


def test_an_amendment_that_changes_nothing_writes_nothing() -> None:
    for price, expires in (("150", 99), (None, None), ("150", None)):
        RESTING.when(decide_amend, VERSION, price, expires, "ann").then_refused(
            Declined, outcome=CommandOutcome.ALREADY
        )
    unbounded = given(limit("150"), ARMED)
    unbounded.when(decide_amend, VERSION, None, NEVER, "ann").then_refused(
        Declined, outcome=CommandOutcome.ALREADY
    )


# -- halt and resume -------------------------------------------------------------------------------

HALT = EngineHalted("odd", "ann")
RESUME = EngineResumed("fine", "ann")


@pytest.mark.parametrize(
    ("history", "switch", "marked", "facts"),
    [
        ((), HALT, False, [HALT]),
        ((HALT,), RESUME, True, [RESUME]),
        ((HALT, RESUME), HALT, False, [HALT]),
        ((HALT,), EngineHalted("again", "bob"), True, []),
        ((), RESUME, False, []),
        ((HALT, RESUME), RESUME, False, []),
    ],
    ids=["halt", "resume", "halt again", "halted", "never halted", "resumed"],
)
def test_a_switch_writes_what_changes_the_engines_state(
    history: tuple[Fact, ...],
    switch: engine_switch.Switch,
    marked: bool,
    facts: list[Fact],
) -> None:
    given_engine(*history).when(engine_switch.decide, switch, marked=marked).then(*facts)


@pytest.mark.parametrize(
    ("history", "switch", "marked", "first"),
    [((HALT,), HALT, False, EngineResumed), ((), RESUME, True, EngineHalted)],
    ids=["the mark is gone", "the mark stands alone"],
)
def test_a_switch_appends_the_opposite_event_where_the_mark_contradicts_the_log(
    history: tuple[Fact, ...],
    switch: engine_switch.Switch,
    marked: bool,
    first: type[EngineHalted | EngineResumed],
) -> None:
    engine = given_engine(*history)
    opposite = engine.when(engine_switch.decide, switch, marked=marked).then_one(
        first, actor="ann", reason="the mark in the log was not what its events say"
    )
    engine.followed_by(opposite).when(engine_switch.decide, switch, marked=not marked).then(switch)


# -- keys ------------------------------------------------------------------------------------------


def created(key_id: str) -> KeyCreated:
    return KeyCreated(key_id, "main", ("read",), b"digest", "", 0, "ann")


def create(ring: KeyRing, fact: KeyCreated) -> Sequence[Fact]:
    return decide_create(ring.keys, fact)


def change(ring: KeyRing, fact: KeyRotated | KeyRevoked) -> Sequence[Fact]:
    return decide_change(ring.keys, fact)


ROTATED = KeyRotated("k1", b"new", 9, "ann")
REVOKED = KeyRevoked("k1", "lost", "ann")


def test_a_key_is_created_rotated_and_revoked() -> None:
    given_keys().when(create, created("k1")).then(created("k1"))
    for fact in (ROTATED, REVOKED):
        given_keys(created("k1")).when(change, fact).then(fact)


def test_a_key_that_is_unknown_or_was_revoked_is_not_changed() -> None:
    for history in ((created("k2"),), (created("k1"), REVOKED)):
        for fact in (ROTATED, REVOKED):
            given_keys(*history).when(change, fact).then_refused(KeyRefused, "there is no key k1")


def test_no_more_keys_are_created_than_one_head_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEYS_MAX == 1000
    monkeypatch.setattr(api_keys, "KEYS_MAX", 2)
    given_keys(created("k1")).when(create, created("k2")).then(created("k2"))
    full = given_keys(created("k1"), created("k2"))
    full.when(create, created("k3")).then_refused(KeyRefused, "there are 2 keys")
    full.followed_by(REVOKED).when(create, created("k3")).then(created("k3"))


# -- parked orders ---------------------------------------------------------------------------------


def test_a_parked_order_is_put_back_to_work_wherever_it_was_parked() -> None:
    for before in ((), SENT[:3], SENT):
        given(market(), *before, PARKED).when(decide_replay, "fixed", "ann").then(
            OrderRequeued("fixed", "ann")
        )


def test_a_parked_order_of_which_nothing_can_land_may_be_discarded() -> None:
    for before, attempts in (((), 0), (SENT[:3], 0), ((*SENT, DEAD), 1)):
        given(market(), *before, PARKED).when(decide_discard, "old", "ann").then(
            OrderFailed("operator", "discarded", attempts, detail="old", actor="ann")
        )


def test_a_parked_order_whose_transaction_is_sent_is_not_discarded() -> None:
    given(market(), *SENT, PARKED).when(decide_discard, "old", "ann").then_refused(
        NotAllowed, "is sent and may still land"
    )


def test_an_order_that_the_chain_executed_is_neither_requeued_nor_discarded() -> None:
    executed = given(market(), *SENT[:1], EXECUTED)
    for decide in (decide_replay, decide_discard):
        executed.when(decide, "why", "ann").then_refused(NotAllowed, "executed twice")


# -- doubts ----------------------------------------------------------------------------------------

IN_DOUBT = given(market(), *SENT, TransactionInDoubt("sig-1", "no-answer"))


def test_a_doubt_is_closed_once_the_transaction_cannot_land_any_more() -> None:
    IN_DOUBT.when(decide_close, 11, "no record", "ann").then(
        OrderFailed("operator", "outcome-unknown", 0, detail="no record", actor="ann")
    )
    IN_DOUBT.when(decide_close, 10, "no record", "ann").then_refused(
        NotClosed, "may still land: the chain is final to height 10 and not past 10"
    )


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ((market(),), "the order is pending and not in doubt"),
        ((market(), *SENT), "the order is submitted and not in doubt"),
        ((market(), *SENT, DEAD), "the order is submitted and not in doubt"),
        (
            (market(), *SENT, TransactionInDoubt("sig-1", "no-answer"), EXECUTED),
            "`engine parked settle` ends it",
        ),
    ],
    ids=["pending", "sent", "dead", "executed"],
)
def test_an_order_that_is_not_in_doubt_is_not_closed(history: tuple[Fact, ...], why: str) -> None:
    given(*history).when(decide_close, 99, "no record", "ann").then_refused(NotClosed, why)
