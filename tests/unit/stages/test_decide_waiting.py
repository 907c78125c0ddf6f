"""What is decided about orders that wait: pure, so a table of cases says it all."""

from functools import partial

import pytest
from msgspec.structs import replace

from engine.recovery.replay_checks import CHECKS
from events import types as t
from events.order import Order, next_attempt
from events.reason_codes import ReasonCode
from events.streams.hash_chain import GENESIS, new_events
from events.types import Quote
from stages import confirmer, router
from stages.runtime.retry import OUTAGES, RetryPolicy, after_refusal
from stages.runtime.stage import NotYet, VenueRefusal
from stages.triggers import watcher
from stages.venues import Outcome, PoolEvent, Tick
from tests.unit.events.test_order import LIFE
from tests.unit.stages.test_decide import METEORA, NO_ROUTE, RAYDIUM

TICK = Tick("raydium", "p", 7, "153.333333333")
CREATED = PoolEvent("pool-created", "raydium", "p", 7, "100", 2_000)


def waiting(kind: str = "limit", *facts: t.Fact, **terms: object) -> Order:
    first = t.OrderSubmitted(kind, "SOL", "USDC", 9, 6, 1_500_000_000, 50, **terms)  # type: ignore[arg-type]
    return new_events(Order("id-1"), GENESIS, [first, *facts], time_us=1000, build="b").order


def market(*facts: t.Fact) -> Order:
    return waiting("market", *[fact for fact in facts if not isinstance(fact, _WAITING)])


_WAITING = (t.OrderArmed, t.OrderTriggered)


def limit(target: str, *facts: t.Fact) -> Order:
    return waiting("limit", *(facts or [t.OrderArmed(7)]), target_price=target)


def sniper(*facts: t.Fact, **terms: object) -> Order:
    return waiting("sniper", *(facts or [t.OrderArmed(7)]), **terms)


TRIGGERED = (t.OrderArmed(7), t.OrderTriggered("tick", "d", "p", 7, "1"), t.RoutingStarted())


@pytest.mark.parametrize(
    ("target", "fires"),
    [
        ("153.333333333", True),
        ("153.333333333000000000000001", False),
        ("153.333333334", False),
        ("1", True),
    ],
)
def test_a_limit_order_fires_at_its_target_and_not_a_unit_before(target: str, fires: bool) -> None:
    facts = watcher.triggers(limit(target), TICK, 7)
    assert facts == (
        [t.OrderTriggered("tick", "raydium", "p", 7, TICK.price, first_slot=7)] if fires else []
    )


def test_a_tick_of_a_slot_before_it_rested_or_of_an_order_under_way_fires_nothing() -> None:
    assert watcher.triggers(limit("1", t.OrderArmed(8)), TICK, 7) == []
    assert watcher.triggers(limit("1"), TICK, 8) == []
    assert watcher.triggers(limit("1", *TRIGGERED), TICK, 7) == []
    assert watcher.triggers(sniper(), TICK, 7) == []
    assert watcher.triggers(limit("1"), CREATED, 7) == []


@pytest.mark.parametrize(
    ("terms", "fires"),
    [
        ({}, True),
        ({"min_liquidity": 2_000}, True),
        ({"min_liquidity": 2_001}, False),
        ({"max_price": "0.01"}, True),  # 1 / 100
        ({"max_price": "0.009999999999"}, False),
        ({"max_price": "0.01", "min_liquidity": 2_001}, False),
    ],
)
def test_a_sniper_fires_at_the_pool_that_it_waits_for(
    terms: dict[str, object], fires: bool
) -> None:
    facts = watcher.triggers(sniper(**terms), CREATED, 7)
    expected = t.OrderTriggered("pool-created", "raydium", "p", 7, "100", 2_000, 9, 7)
    assert facts == ([expected] if fires else [])


@pytest.mark.parametrize(
    ("price", "fires"),
    [("33.333333333333333333333333", False), ("33.333333333333333333333334", True)],
)
def test_a_sniper_does_not_fire_where_its_highest_price_is_missed_by_a_unit(
    price: str, fires: bool
) -> None:
    seen = CREATED._replace(price=price)  # 0.03 token_in a token_out is 33.3… the other way
    assert bool(watcher.triggers(sniper(max_price="0.03"), seen, 7)) is fires


def test_a_limit_order_is_routed_with_its_target_as_the_minimum_rounded_up() -> None:
    [routed] = router.decide(limit("153.3333333333", *TRIGGERED), (RAYDIUM, METEORA))
    assert isinstance(routed, t.OrderRouted)
    assert routed.min_amount_out == 230_000_000  # 229.99999999995 rounded up
    assert routed.dex == "meteora"


def test_a_price_that_touched_and_retreated_sends_a_limit_order_back() -> None:
    order = limit("153.3333334", *TRIGGERED)
    [retreated] = router.decide(order, (RAYDIUM, METEORA))
    assert retreated == t.OrderRearmed(
        "router", "quote-below-target", 8, 230_000_000, 230_000_001, (RAYDIUM, METEORA), 9, 6
    )
    check = CHECKS[t.OrderRearmed](order, retreated)
    assert check == [retreated]


def test_who_is_led_on_again_and_again_passes_over_a_price_that_stays_ever_longer() -> None:
    led_on: tuple[t.Fact, ...] = TRIGGERED
    pauses = []
    for _ in range(11):
        [retreated] = router.decide(limit("999", *led_on), (RAYDIUM, METEORA))
        assert isinstance(retreated, t.OrderRearmed)
        assert retreated.slot == 8  # what changes counts from the next slot on
        pauses.append(max(retreated.paused_until_slot, 8) - 7)
        for fact in (retreated, with_the_pause_in_its_slot(retreated)):
            assert CHECKS[t.OrderRearmed](limit("999", *led_on), fact) == [fact]
        led_on = (*led_on, t.OrderRearmed("r", "x", 7, 0, 0), *TRIGGERED[1:])
    assert pauses == [1, 1, 1, 1, 2, 4, 8, 16, 32, 64, 64]


def with_the_pause_in_its_slot(fact: t.OrderRearmed) -> t.OrderRearmed:
    """As builds wrote it that told no pause."""
    return replace(fact, slot=fact.paused_until_slot or fact.slot, paused_until_slot=0)


def test_a_sniper_takes_its_slippage_but_never_pays_more_than_its_highest_price() -> None:
    [loose] = router.decide(sniper(*TRIGGERED), (METEORA,))
    [tight] = router.decide(sniper(*TRIGGERED, max_price="0.00653"), (METEORA,))
    assert isinstance(loose, t.OrderRouted)
    assert isinstance(tight, t.OrderRouted)
    assert loose.min_amount_out == 228_850_000
    assert tight.min_amount_out == 229_709_036  # 1.5 / 0.00653 rounded up
    [back] = router.decide(sniper(*TRIGGERED, max_price="0.0065"), (METEORA,))
    assert isinstance(back, t.OrderRearmed)


def test_a_sniper_that_retreated_waits_for_its_highest_price_too() -> None:
    fresh = sniper(max_price="0.01")
    assert watcher.triggers(fresh, TICK, 7) == []
    back = t.OrderRearmed("router", "quote-below-target", 7, 0, 0)
    again = sniper(*TRIGGERED, back, max_price="0.01")
    [fact] = watcher.triggers(again, TICK, 7)
    assert isinstance(fact, t.OrderTriggered)
    assert fact.cause == "tick"
    assert CHECKS[t.OrderTriggered](again, fact) == [fact]
    dear = sniper(*TRIGGERED, back, max_price="0.001")
    assert watcher.triggers(dear, TICK, 7) == []
    unbounded = sniper(*TRIGGERED, back)
    assert watcher.triggers(unbounded, TICK, 7) == []


def test_a_pool_that_is_gone_again_sends_a_waiting_order_back_and_fails_a_market_order() -> None:
    [back] = router.decide(sniper(*TRIGGERED), (NO_ROUTE, NO_ROUTE))
    assert isinstance(back, t.OrderRearmed)
    assert (back.reason, back.slot) == ("no-route", 8)
    with pytest.raises(VenueRefusal):
        router.decide(waiting("market"), (NO_ROUTE, NO_ROUTE))


@pytest.mark.parametrize(
    "codes",
    [("pool-not-found",), ("amount-too-small", "insufficient-liquidity"), ("pool-disabled",)],
)
def test_what_a_market_refuses_as_it_is_now_is_waited_out(codes: tuple[str, ...]) -> None:
    quotes = tuple(Quote("raydium", "p", 0, 0, 0, 7, code) for code in codes)
    for order in (limit("150", *TRIGGERED), sniper(*TRIGGERED)):
        [back] = router.decide(order, quotes)
        assert isinstance(back, t.OrderRearmed)
        assert back.reason == codes[-1]
        assert CHECKS[t.OrderRearmed](order, back) == [back]
    with pytest.raises(VenueRefusal):
        router.decide(limit("150", *TRIGGERED), (Quote("raydium", "p", 0, 0, 0, 7, "wrong"),))


@pytest.mark.parametrize("stage", ["router", "builder"])
def test_no_failure_ends_a_limit_order_but_a_sniper_gives_up(stage: str) -> None:
    down = VenueRefusal("slippage-exceeded", retryable=True)
    failures = tuple(t.AttemptFailed(stage, n, "x", "", 0) for n in (1, 2, 3, 4))
    patient, _ = after_refusal(
        limit("150", *TRIGGERED, *failures), stage, down, RetryPolicy(), now_us=1, jitter=0
    )
    assert isinstance(patient, t.AttemptFailed)
    ended, _ = after_refusal(
        sniper(*TRIGGERED, *failures), stage, down, RetryPolicy(), now_us=1, jitter=0
    )
    assert isinstance(ended, t.OrderFailed)
    poor = VenueRefusal("insufficient-funds")
    ended, _ = after_refusal(
        limit("150", *TRIGGERED), stage, poor, RetryPolicy(), now_us=1, jitter=0
    )
    assert isinstance(ended, t.OrderFailed)


@pytest.mark.parametrize("stage", ["router", "builder"])
@pytest.mark.parametrize("code", sorted(OUTAGES))
def test_an_outage_of_the_nodes_spends_no_attempt_of_any_order(
    stage: str, code: ReasonCode
) -> None:
    policy = RetryPolicy(attempts_max=1, base_ms=100, max_ms=1_000)
    for make in (market, partial(limit, "150"), sniper):
        facts: list[t.Fact] = []
        waits = []
        for _ in range(6):
            order = make(*TRIGGERED, *facts)
            fact, wait_ms = after_refusal(
                order, stage, VenueRefusal(code), policy, now_us=1, jitter=0
            )
            assert isinstance(fact, t.AttemptFailed)
            assert (fact.attempt, fact.error) == (0, code)
            facts.append(fact)
            waits.append(wait_ms)
        assert waits == [100, 200, 400, 800, 1_000, 1_000]
        own = VenueRefusal("slippage-exceeded", retryable=True)
        order = make(*TRIGGERED, *facts)
        ended, _ = after_refusal(order, stage, own, policy, now_us=1, jitter=0)
        assert isinstance(ended, t.AttemptFailed if order.patient else t.OrderFailed)
        assert order.outages == 6


def test_an_order_of_now_or_never_does_not_wait_for_nodes() -> None:
    order = waiting("market", min_amount_out=1, time_in_force="IOC")
    stale = VenueRefusal("quotes-stale", retryable=True)
    fact, _ = after_refusal(order, "router", stale, RetryPolicy(), now_us=1, jitter=0)
    assert fact == t.OrderFailed("router", "quotes-stale", 1)


def test_a_dead_transaction_that_no_node_took_spends_no_attempt() -> None:
    dead = Outcome("absent", finalized_height=11, handed_over=False)
    sent = waiting("market", *LIFE[1:5])
    facts = confirmer.decide(sent, dead, attempts_max=1)
    assert isinstance(facts, list)
    [expired] = facts
    assert isinstance(expired, t.TransactionExpired)
    assert not expired.handed_over
    assert waiting("market", *LIFE[1:5], expired).attempts == 0
    taken = replace(dead, handed_over=True)
    facts = confirmer.decide(sent, taken, attempts_max=1)
    assert isinstance(facts, list)
    assert [type(fact) for fact in facts] == [t.TransactionExpired, t.OrderFailed]


def test_a_doubt_that_needs_an_operator_is_said_once_more() -> None:
    doubt = t.TransactionInDoubt("sig-1", "venue-unavailable")
    in_doubt = waiting("market", *LIFE[1:5], doubt)
    missing = Outcome("unknown", reason="method-not-served", detail="getEpochInfo: host: no")
    facts = confirmer.decide(in_doubt, missing, attempts_max=1)
    assert facts == [t.TransactionInDoubt("sig-1", "method-not-served", "getEpochInfo: host: no")]
    again = waiting("market", *LIFE[1:5], doubt, *facts)
    few = Outcome("unknown", reason="too-few-witnesses", detail="getEpochInfo: host: no")
    assert isinstance(confirmer.decide(again, few, attempts_max=1), NotYet)
    assert isinstance(confirmer.decide(again, missing, attempts_max=1), NotYet)
    away = Outcome("unknown", reason="venue-unavailable")
    assert isinstance(confirmer.decide(again, away, attempts_max=1), NotYet)


def test_no_number_of_dead_transactions_ends_a_limit_order() -> None:
    sent = limit("150", *TRIGGERED, *LIFE[2:5])
    dead = confirmer.decide(sent, Outcome("absent", finalized_height=11), attempts_max=1)
    assert isinstance(dead, list)
    assert [type(fact) for fact in dead] == [t.TransactionExpired]


def test_a_sniper_that_is_routed_again_never_loosens_its_minimum() -> None:
    [routed] = router.decide(sniper(*TRIGGERED), (METEORA,))
    again = sniper(*TRIGGERED, routed, t.AttemptFailed("builder", 1, "slippage-exceeded", "", 0))
    worse = replace(METEORA, amount_out=METEORA.amount_out * 99 // 100)
    [back] = router.decide(again, (worse,))
    assert isinstance(back, t.OrderRearmed)
    [kept] = router.decide(again, (METEORA,))
    assert isinstance(kept, t.OrderRouted)
    assert isinstance(routed, t.OrderRouted)
    assert kept.min_amount_out == routed.min_amount_out


class NoSlotYet:
    """A market whose chain cannot be asked."""

    def slot(self) -> int:
        raise VenueRefusal("venue-unavailable", "no slot is known yet", retryable=True)


def test_an_order_waits_for_a_chain_that_cannot_be_asked_when_it_comes() -> None:
    stage = watcher.stage(NoSlotYet())  # type: ignore[arg-type]  # all of it that is asked
    order = waiting()
    [answer] = stage.ask([order])
    assert isinstance(stage.decide(order, answer), NotYet)
    assert stage.wait_ms(order, 0) > 0


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_an_order_of_now_or_never_is_not_tried_again(time_in_force: str) -> None:
    order = waiting("market", min_amount_out=1, time_in_force=time_in_force)
    refused = VenueRefusal("venue-timeout", "slow", retryable=True)
    fact, _ = after_refusal(order, "router", refused, RetryPolicy(), now_us=1, jitter=0)
    assert fact == t.OrderFailed("router", "venue-timeout", 1, "slow")
    sent = waiting("market", *LIFE[1:5], min_amount_out=1, time_in_force=time_in_force)
    dead = confirmer.decide(sent, Outcome("absent", finalized_height=11), attempts_max=9)
    assert isinstance(dead, list)
    assert [type(fact) for fact in dead] == [t.TransactionExpired, t.OrderFailed]


def test_a_limit_order_whose_swap_failed_on_chain_waits_again_with_another_number() -> None:
    sent = limit("150", *TRIGGERED, *LIFE[2:5])
    outcome = Outcome("failed", slot=20, reason="slippage-exceeded")
    results = confirmer.decide(sent, outcome, attempts_max=3)
    assert results == [t.OrderRearmed("confirmer", "slippage-exceeded", 21, 0, 190, (), 9, 6)]
    assert CHECKS[t.OrderRearmed](sent, results[0]) == results
    again = limit("150", *TRIGGERED, *LIFE[2:5], results[0], *TRIGGERED[1:])
    assert next_attempt(again) == 2


def test_a_trigger_can_be_decided_again_from_what_it_recorded() -> None:
    for order, seen in ((limit("150"), TICK), (sniper(max_price="0.01"), CREATED)):
        [fact] = watcher.triggers(order, seen, 7)
        assert CHECKS[t.OrderTriggered](order, fact) == [fact]
        assert isinstance(fact, t.OrderTriggered)
        old = replace(fact, first_slot=None)
        assert CHECKS[t.OrderTriggered](order, old) == [old]


AMENDED = t.OrderAmended("ann", "150", None)


@pytest.mark.parametrize(
    ("order", "value", "sound"),
    [
        (limit("150"), {"slot": 7, "first_slot": 7}, True),
        (limit("150"), {"slot": 6, "first_slot": 6}, False),  # before it came to rest
        (limit("150"), {"slot": 8, "first_slot": 8}, False),  # its own first slot is 7
        (limit("160", t.OrderArmed(7), AMENDED), {"slot": 9, "first_slot": 9}, True),
        (limit("160", t.OrderArmed(7), AMENDED), {"slot": 8, "first_slot": 9}, False),
        (limit("160", t.OrderArmed(7), AMENDED), {"slot": 6, "first_slot": 6}, False),
        (limit("160", t.OrderArmed(7), AMENDED), {"slot": 8, "first_slot": None}, True),
    ],
)
def test_an_audit_finds_a_trigger_by_a_tick_from_before_the_order_rested_or_was_amended(
    order: Order, value: dict[str, int], sound: bool
) -> None:
    fact = t.OrderTriggered("tick", "raydium", "p", price="153", **value)
    assert (CHECKS[t.OrderTriggered](order, fact) == [fact]) is sound


def test_quotes_name_the_slot_after_which_an_order_waits_again() -> None:
    late = Quote("raydium", "r", 1_500_000_000, 1, 0, 99)
    [back] = router.decide(limit("150", *TRIGGERED), (late,))
    assert isinstance(back, t.OrderRearmed)
    assert back.slot == 100
