"""What the watcher decides: when an order rests, and what triggers it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.recovery.replay_checks import CHECKS
from events.types import (
    Fact,
    OrderAmended,
    OrderArmed,
    OrderRearmed,
    OrderSubmitted,
    OrderTriggered,
)
from stages.runtime.stage import VenueRefusal
from stages.triggers import watcher
from stages.venues import PoolEvent, Tick
from tests.support.histories import ARMED, TRIGGERED, limit, sniper
from tests.support.specification import given

TICK = Tick("raydium", "p", 7, "153.333333333")
BY_TICK = OrderTriggered("tick", "raydium", "p", 7, TICK.price, first_slot=7)
CREATED = PoolEvent("pool-created", "raydium", "p", 7, "100", 2_000)
BY_POOL = OrderTriggered("pool-created", "raydium", "p", 7, "100", 2_000, 9, 7)
REARMED = OrderRearmed("router", "quote-below-target", 7, 0, 0)


# -- resting ---------------------------------------------------------------------------------------


def test_an_order_is_armed_at_the_slot_of_the_chain() -> None:
    given(limit("150")).when(watcher.decide, 7).then(OrderArmed(7))


class NoSlotYet:
    """A market whose chain cannot be asked."""

    def slot(self) -> int:
        raise VenueRefusal("venue-unavailable", "no slot is known yet", retryable=True)


def test_an_order_waits_for_a_chain_that_cannot_be_asked_when_it_comes() -> None:
    stage = watcher.stage(NoSlotYet())  # type: ignore[arg-type]  # all of it that is asked
    order = given(limit("150"))
    [answer] = stage.ask([order.state])
    assert answer is None
    order.when(watcher.decide, answer).then_wait()
    assert stage.wait_ms(order.state, 0) > 0


# -- a tick ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "facts"),
    [
        ("153.333333333", [BY_TICK]),
        ("153.333333333000000000000001", []),
        ("153.333333334", []),
        ("1", [BY_TICK]),
    ],
)
def test_a_limit_order_fires_at_its_target_and_not_a_unit_before(
    target: str, facts: list[Fact]
) -> None:
    given(limit(target), ARMED).when(watcher.triggers, TICK, 7).then(*facts)


@pytest.mark.parametrize(
    ("history", "seen", "first"),
    [
        ([limit("1"), OrderArmed(8)], TICK, 7),
        ([limit("1"), ARMED], TICK, 8),
        ([limit("1"), *TRIGGERED], TICK, 7),
        ([sniper(), ARMED], TICK, 7),
        ([limit("1"), ARMED], CREATED, 7),
    ],
    ids=["before it rested", "before its first slot", "under way", "sniper", "pool event"],
)
def test_early_ticks_orders_under_way_and_other_events_do_not_trigger(
    history: list[Fact], seen: Tick | PoolEvent, first: int
) -> None:
    given(*history).when(watcher.triggers, seen, first).then()


# -- a pool event ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "facts"),
    [
        ({}, [BY_POOL]),
        ({"min_liquidity": 2_000}, [BY_POOL]),
        ({"min_liquidity": 2_001}, []),
        ({"max_price": "0.01"}, [BY_POOL]),  # 1 / 100
        ({"max_price": "0.009999999999"}, []),
        ({"max_price": "0.01", "min_liquidity": 2_001}, []),
        ({"target_price": "100"}, [BY_POOL]),
        ({"target_price": "100.000001"}, []),
    ],
)
def test_a_sniper_fires_at_the_pool_that_it_waits_for(
    terms: dict[str, object], facts: list[Fact]
) -> None:
    given(sniper(**terms), ARMED).when(watcher.triggers, CREATED, 7).then(*facts)


def test_a_sniper_does_not_fire_where_its_highest_price_is_missed_by_a_unit() -> None:
    order = given(sniper(max_price="0.03"), ARMED)  # at least 33.3… the other way
    for price, kinds in (
        ("33.333333333333333333333333", []),
        ("33.333333333333333333333334", [OrderTriggered]),
    ):
        order.when(watcher.triggers, CREATED._replace(price=price), 7).then_kinds(*kinds)


def test_a_sniper_that_retreated_waits_for_its_highest_price_too() -> None:
    given(sniper(max_price="0.01"), ARMED).when(watcher.triggers, TICK, 7).then()
    again = given(sniper(max_price="0.01"), *TRIGGERED, REARMED)
    triggered = again.when(watcher.triggers, TICK, 7).then_one(OrderTriggered, cause="tick")
    assert CHECKS[OrderTriggered](again.state, triggered) == [triggered]
    for other in (sniper(max_price="0.001"), sniper()):
        given(other, *TRIGGERED, REARMED).when(watcher.triggers, TICK, 7).then()


# -- the audit of a trigger ------------------------------------------------------------------------


def test_a_trigger_is_reproduced_from_its_recorded_event() -> None:
    orders: list[tuple[OrderSubmitted, Tick | PoolEvent]] = [
        (limit("150"), TICK),
        (sniper(max_price="0.01"), CREATED),
    ]
    for submitted, seen in orders:
        order = given(submitted, ARMED)
        fact = order.when(watcher.triggers, seen, 7).then_one(OrderTriggered)
        for recorded in (fact, replace(fact, first_slot=None)):  # as older builds wrote it
            assert CHECKS[OrderTriggered](order.state, recorded) == [recorded]


AMENDED = (limit("160"), ARMED, OrderAmended("ann", "150", None))


@pytest.mark.parametrize(
    ("history", "slots", "sound"),
    [
        ((limit("150"), ARMED), {"slot": 7, "first_slot": 7}, True),
        ((limit("150"), ARMED), {"slot": 6, "first_slot": 6}, False),  # before it came to rest
        ((limit("150"), ARMED), {"slot": 8, "first_slot": 8}, False),  # its own first slot is 7
        (AMENDED, {"slot": 9, "first_slot": 9}, True),
        (AMENDED, {"slot": 8, "first_slot": 9}, False),
        (AMENDED, {"slot": 6, "first_slot": 6}, False),
        (AMENDED, {"slot": 8, "first_slot": None}, True),
    ],
)
def test_an_audit_detects_a_trigger_by_a_tick_before_arming_or_amendment(
    history: tuple[Fact, ...], slots: dict[str, int], sound: bool
) -> None:
    fact = OrderTriggered("tick", "raydium", "p", price="153", **slots)
    assert (CHECKS[OrderTriggered](given(*history).state, fact) == [fact]) is sound
