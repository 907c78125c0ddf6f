"""What each fact changes of an order, and that it changes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict, replace

from events import types as t
from events.order import Order, evolve, next_attempt
from events.order.next_stage import executed_by, executed_reason, may_cancel, was_executed
from events.order.state import Transaction, encode
from events.secret import SecretBytes
from events.streams.older_builds import adds, basis
from events.types import Event, Fact, Fill, Leg, Quote, Status, TokenWarning

NOW_US = 1000
LEG = Leg("d", "clmm", "p", "A", "B", 1, 2, 3, 4, 5, False, 6, False)
OTHER_LEG = replace(LEG, pool="q")
FILL = Fill("p", "A", "B", 1, 2, 3, 4)
WARNING, OTHER_WARNING = TokenWarning("mint-authority", "A"), TokenWarning("freeze-authority", "B")
RAW = SecretBytes(b"raw")
SENT = Transaction(1, "sig-1", 11, RAW, 12, 13)

FULL = Order(
    "id-1", "main", 3, Status.BUILDING, "limit", "A", "B", 1, 2, 3, 4,
    min_amount_out=5, expires_at_us=6, client_order_id="c", idempotency_key="i", created_at_us=7,
    updated_at_us=8, dex="d", pool="p", quoted_amount_out=9, price="10", transaction=SENT,
    attempts=14, next_attempt_at_us=15, in_doubt=True, parked="bug", signature="sig-1",
    amount_out=16, executed_price="17", failed_stage="builder", reason="why", target_price="18",
    time_in_force="GTC", min_liquidity=19, max_price="20", watch_slot=21, triggered=True,
    retreats=22, transactions=23, counts_from_us=24, max_amount_in=25, legs=(LEG,),
    stale_route=True, fee_lamports=26, amount_taken=27,
    paused_until_slot=28, outages=29, doubt="which", rent_lamports=30, fills=(FILL,),
    warnings=(WARNING,), trigger_price="31",
)  # fmt: skip
"""Every field has a value of its own, but for the reserved one."""
EXACT = replace(FULL, exact_amount_out=32)
QUOTES = (
    Quote("x", "p", 1, 2, 3, 4, legs=(OTHER_LEG, LEG), warnings=(WARNING, OTHER_WARNING)),
    Quote("e", "q", 1, 2, 3, 4, legs=(OTHER_LEG,), warnings=(OTHER_WARNING,)),
)
ROUTED = t.OrderRouted("e", "q", 40, 41, "42", QUOTES, 1, 2, 1, 43, 44)
ROUTE = {
    "dex": "e", "pool": "q", "quoted_amount_out": 40, "min_amount_out": 41, "price": "42",
    "stale_route": False, "legs": (OTHER_LEG,), "warnings": (OTHER_WARNING,),
}  # fmt: skip
SUBMITTED = t.OrderSubmitted(
    "sniper", "C", "D", 40, 41, 42, 43, 44, 45, "cc", "ii", "46", "GTT", 47, "48", 49, 50
)
CONFIRMED = t.OrderConfirmed("sig-2", 40, "41", 2, 9, 42, 1, 43, 44, (FILL, FILL))
NO_ROUTE: dict[str, Any] = {"legs": (), "warnings": ()}
ENDED = {"in_doubt": False, "parked": "", "transaction": None}
LANDED = {
    "signature": "sig-2", "amount_out": 40, "executed_price": "41", "amount_taken": 42,
    "fee_lamports": 69, "rent_lamports": 74, "fills": (FILL, FILL), "in_doubt": False,
    "transaction": None,
}  # fmt: skip

CHANGED: list[tuple[str, Order, Fact, dict[str, Any]]] = [
    ("submitted", FULL, SUBMITTED, {
        "type": "sniper", "token_in": "C", "token_out": "D", "decimals_in": 40, "decimals_out": 41,
        "amount_in": 42, "slippage_bps": 43, "min_amount_out": 44, "expires_at_us": 45,
        "client_order_id": "cc", "idempotency_key": "ii", "target_price": "46",
        "time_in_force": "GTT", "min_liquidity": 47, "max_price": "48", "exact_amount_out": 49,
        "max_amount_in": 50, "created_at_us": NOW_US,
    }),
    ("routing", FULL, t.RoutingStarted(), {}),
    ("routed", FULL, ROUTED, ROUTE),
    ("routed by the first quote", FULL, replace(ROUTED, chosen=0), ROUTE | {
        "legs": (OTHER_LEG, LEG), "warnings": (WARNING, OTHER_WARNING),
    }),
    ("routed by an old build", FULL, replace(ROUTED, chosen=-1), ROUTE | NO_ROUTE),
    ("routed by no quote", FULL, replace(ROUTED, chosen=2), ROUTE | NO_ROUTE),
    ("routed exactly", EXACT, ROUTED, ROUTE | {"amount_in": 43, "max_amount_in": 44}),
    ("built", FULL, t.TransactionBuilt(2, "sig-2", 40, RAW, 41), {
        "transaction": Transaction(2, "sig-2", 40, RAW, 0, 41), "signature": "sig-2",
        "transactions": 24,
    }),
    ("sent", FULL, t.TransactionSubmitted(1, "sig-1"), {
        "transaction": replace(SENT, submitted_at_us=NOW_US), "outages": 0,
    }),
    ("sent without a build", replace(FULL, transaction=None), t.TransactionSubmitted(1, "s"), {
        "outages": 0,
    }),
    ("dead", FULL, t.TransactionExpired(1, "sig-1", 1, 2), {
        "transaction": None, "attempts": 15, "in_doubt": False,
    }),
    ("dead before it was sent", FULL, t.TransactionExpired(1, "sig-1", 1, 2, handed_over=False), {
        "transaction": None, "in_doubt": False,
    }),
    ("in doubt", replace(FULL, in_doubt=False), t.TransactionInDoubt("sig-1", "r", "blocks"), {
        "in_doubt": True, "doubt": "blocks",
    }),
    ("confirmed", FULL, CONFIRMED, LANDED),
    ("confirmed exactly", EXACT, CONFIRMED, LANDED | {"amount_in": 42}),
    ("confirmed exactly by an old build", EXACT, replace(CONFIRMED, amount_in=0), LANDED | {
        "amount_taken": 0,
    }),
    ("failed", FULL, t.OrderFailed("confirmer", "slippage", 40, fee_lamports=41), ENDED | {
        "failed_stage": "confirmer", "reason": "slippage", "attempts": 40, "fee_lamports": 67,
    }),
    ("expired", FULL, t.OrderExpired("router", "late", 40), ENDED | {
        "failed_stage": "router", "reason": "late", "attempts": 40,
    }),
    ("attempt", replace(FULL, stale_route=False), t.AttemptFailed("router", 15, "e", "", 40), {
        "attempts": 15, "outages": 0, "next_attempt_at_us": 40,
    }),
    ("attempt of a builder", replace(FULL, stale_route=False),
     t.AttemptFailed("builder", 15, "e", "", 40), {
        "attempts": 15, "outages": 0, "next_attempt_at_us": 40, "stale_route": True,
    }),
    ("outage", FULL, t.AttemptFailed("router", 14, "e", "", 40), {
        "outages": 30, "next_attempt_at_us": 40,
    }),
    ("parked", FULL, t.OrderParked("router", "odd", "ann"), {"parked": "odd"}),
    ("parked without a reason", FULL, t.OrderParked("router", "", "ann"), {"parked": "parked"}),
    ("replayed", FULL, t.OrderRequeued("fixed", "ann"), {
        "parked": "", "counts_from_us": NOW_US, "next_attempt_at_us": 0,
    }),
    ("recovered", FULL, t.TransactionRecovered("sig-1", "r", "ann"), {
        "parked": "", "in_doubt": False,
    }),
    ("recovered before it was sent", replace(FULL, transaction=replace(SENT, submitted_at_us=0)),
     t.TransactionRecovered("sig-1", "r", "ann"), {
        "parked": "", "in_doubt": False, "transaction": replace(SENT, submitted_at_us=NOW_US),
    }),
    ("recovered by another", FULL, t.TransactionRecovered("sig-9", "r", "ann", "e", "q"), {
        "parked": "", "in_doubt": False, "transactions": 24,
        "transaction": Transaction(24, "sig-9", 0, SecretBytes(b""), NOW_US),
        "signature": "sig-9", "dex": "e", "pool": "q", "price": "", "quoted_amount_out": None,
    } | NO_ROUTE),
    ("recovered alone", replace(FULL, transaction=None),
     t.TransactionRecovered("sig-9", "r", "ann", "e", "q"), {
        "parked": "", "in_doubt": False, "transactions": 24,
        "transaction": Transaction(24, "sig-9", 0, SecretBytes(b""), NOW_US),
        "signature": "sig-9", "dex": "e", "pool": "q", "price": "", "quoted_amount_out": None,
    } | NO_ROUTE),
    ("rested", FULL, t.OrderArmed(40), {"watch_slot": 40}),
    ("triggered", replace(FULL, triggered=False), t.OrderTriggered("tick", "d", "p", 40, "41"), {
        "triggered": True, "trigger_price": "41", "watch_slot": 40, "paused_until_slot": 0,
        "attempts": 0, "outages": 0, "next_attempt_at_us": 0,
    }),
    ("retreated", FULL, t.OrderRearmed("router", "r", 40, 1, 2, (), 1, 2, 41, 42), {
        "triggered": False, "retreats": 23, "watch_slot": 40, "paused_until_slot": 42,
        "next_attempt_at_us": 0, "in_doubt": False, "transaction": None, "dex": "", "pool": "",
        "price": "", "signature": "", "quoted_amount_out": None, "min_amount_out": None,
        "stale_route": False, "fee_lamports": 67,
    } | NO_ROUTE),
    ("amended", FULL, t.OrderAmended("ann", "40", 41), {
        "counts_from_us": NOW_US, "target_price": "40", "expires_at_us": 41,
        "time_in_force": "GTT", "retreats": 0, "paused_until_slot": 0,
    }),
    ("amended to no expiry", FULL, t.OrderAmended("ann", "18", None), {
        "expires_at_us": None, "retreats": 0, "paused_until_slot": 0,
    }),
    ("cancelled", FULL, t.OrderCancelled("ann", "mine"), {
        "reason": "mine", "parked": "", "transaction": None,
    }),
    # Of other streams: on an order, which only a damaged log has, they change nothing.
    ("halted", FULL, t.EngineHalted("odd", "ann"), {}),
    ("resumed", FULL, t.EngineResumed("fine", "ann"), {}),
    ("key made", FULL, t.KeyCreated("k3", "ann", ("trade",), b"3", "new", 40, "ann"), {}),
    ("key rotated", FULL, t.KeyRotated("k1", b"2", 40, "ann"), {}),
    ("key revoked", FULL, t.KeyRevoked("k1", "lost", "ann"), {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "fact", "changes"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED]
)
def test_a_fact_changes_its_own_fields_and_nothing_else(
    before: Order, fact: Fact, changes: dict[str, Any]
) -> None:
    event = Event("id-1", 4, NOW_US, Status.PENDING, "main", "b", fact)  # type: ignore[arg-type]
    after = evolve(before, event)
    always = {"version": 4, "updated_at_us": NOW_US, "status": after.status}
    assert asdict(after) == asdict(before) | always | changes


def test_the_table_has_every_fact() -> None:
    assert {type(case[2]) for case in CHANGED} == set(t.FACTS.values())


def test_the_first_event_gives_an_order_its_id_and_its_account() -> None:
    event = Event("id-7", 1, NOW_US, Status.PENDING, "ann", "b", SUBMITTED)
    after = evolve(None, event)
    assert (after.id, after.account, after.version, after.dex) == ("id-7", "ann", 1, "")


def test_the_next_attempt_has_a_number_that_was_never_used() -> None:
    assert next_attempt(Order("id-1")) == 1
    assert next_attempt(Order("id-1", attempts=2, transactions=1)) == 3
    assert next_attempt(Order("id-1", attempts=2, transactions=4)) == 5


def test_the_signatures_that_executed_an_order_are_read_from_its_park_reason() -> None:
    reason = executed_reason(["sig-1", "sig-2"])
    assert reason == "executed on chain by sig-1, sig-2, whose events are lost"
    executed = Order("id-1", version=1, parked=reason)
    assert was_executed(executed)
    assert executed_by(executed) == ("sig-1", "sig-2")
    assert not may_cancel(executed)
    other = replace(executed, parked="a bug")
    assert (was_executed(other), executed_by(other), may_cancel(other)) == (False, (), True)


def test_fields_missing_in_the_stored_order_of_an_older_build_do_not_differ() -> None:
    order = replace(FULL, rent_lamports=5, trigger_price="1", detail="a")
    assert basis(order) == encode(replace(order, rent_lamports=0, trigger_price="", detail=""))
    assert basis(replace(order, trigger_price="")) == basis(order)
    for stored, is_told in (
        (order, True),
        (replace(order, rent_lamports=0), True),
        (replace(order, rent_lamports=0, trigger_price=""), True),
        (replace(order, rent_lamports=4), False),
        (replace(order, trigger_price="2"), False),
        (replace(order, detail=""), True),
        (replace(order, detail="b"), False),
    ):
        assert adds(encode(stored), (5, "1", "a")) is is_told
    assert not adds(b"\xc1", (5, "1", "a"))
