"""Resting orders: each is triggered once, by the first tick that meets its price."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.commands import engine_switch, orders
from events.commands.orders import CommandOutcome
from events.ids import new_order_id
from events.log import AppendStatus, PairLeases, Unavailable
from events.money import price_units, to_price
from events.types import (
    AttemptFailed,
    OrderArmed,
    OrderConfirmed,
    OrderExpired,
    OrderFailed,
    OrderRearmed,
    OrderSubmitted,
    OrderTriggered,
    TransactionSubmitted,
)
from stages.triggers.rebalance import rendezvous_owner
from stages.venues import Pair
from stages.venues.simulated.venue import Simulation
from stages.venues.venue_group import VenueGroup
from tests.support.log.workers import ACCOUNT, Crew, crew
from tests.support.waits import HANG_S, until

MOVING = Simulation(seed=3, slot_ms=5, volatility_bps=300, blockhash_slots=4000)
PAIR = Pair("SOL", "USDC", 9, 6)
NEVER = "100000"
NEVER_MS = 3_600_000
LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price=NEVER, time_in_force="GTC"
)
SNIPER = OrderSubmitted("sniper", "SOL", "NEW", 9, 6, 1_500_000_000, 500, time_in_force="GTC")


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 50)


def limit(target: str, **terms: object) -> OrderSubmitted:
    return replace(LIMIT, target_price=target, **terms)


def price_at(team: Crew, slot: int) -> int:
    [tick] = team.venues()[0].ticks(PAIR, slot, slot)
    return price_units(tick.price)


def as_price(units: int) -> str:
    digits = str(units).rjust(25, "0")
    return to_price(f"{digits[:-24]}.{digits[-24:]}")


def often(team: Crew, slots: int) -> str:
    """A target that is paid in a third of so many slots, those from now on."""
    now = team.venues()[0].slot()
    return as_price(sorted(price_at(team, now + n) for n in range(slots))[slots * 2 // 3])


def assert_filled(team: Crew, order_id: str) -> None:
    """Triggered by a tick that paid the target, and not filled worse."""
    facts = team.facts(order_id)
    submitted = facts[0]
    assert isinstance(submitted, OrderSubmitted)
    target = price_units(submitted.target_price)
    for fact in facts:
        if isinstance(fact, OrderTriggered):
            assert price_units(fact.price) >= target
            assert price_at(team, fact.slot) == price_units(fact.price)
        if isinstance(fact, OrderConfirmed):
            assert price_units(fact.executed_price) >= target or (
                fact.amount_out * 10**27 >= target * 15 * 10**8  # the price is rounded down
            )
    assert team.executions()[order_id] == 1


async def rested(team: Crew, *ids: str) -> None:
    await team.until(lambda: {e.order_id for e in team.of(OrderArmed)} >= set(ids))


async def test_a_limit_order_waits_for_its_price_and_is_never_filled_worse(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.engine()
        ids = [await team.place(limit(often(team, slots))) for slots in (100, 200, 300, 400)]
        assert await team.ended(ids) == ["confirmed"] * 4
        for order_id in ids:
            assert team.names(order_id)[:4] == [
                "OrderSubmitted", "OrderArmed", "OrderTriggered", "RoutingStarted",
            ]  # fmt: skip
            assert_filled(team, order_id)


async def test_a_limit_order_that_is_payable_at_once_is_triggered_at_once(
    redis_url: str, tmp_path: Path
) -> None:
    slow = replace(MOVING, slot_ms=60_000)
    async with crew(redis_url, tmp_path, slow) as team:
        await team.engine()
        ids = [await team.place(limit("1")) for _ in range(20)]
        assert await team.ended(ids) == ["confirmed"] * 20


async def test_a_sniper_order_is_triggered_by_a_new_pool_within_its_limits(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.engine()
        fired = await team.place(SNIPER)
        stays = [
            await team.place(replace(SNIPER, max_price="0.0000001")),
            await team.place(replace(SNIPER, min_liquidity=10**15)),
        ]
        assert await team.ended([fired]) == ["confirmed"]
        [triggered] = [f for f in team.facts(fired) if isinstance(f, OrderTriggered)][:1]
        assert triggered.cause in ("pool-created", "liquidity-added")
        assert triggered.liquidity > 0
        await rested(team, *stays)
        assert {team.statuses()[order_id] for order_id in stays} == {"watching"}


AHEAD = ("router", "builder", "submitter")


async def test_a_sniper_order_is_triggered_routed_built_and_sent_in_one_append(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        await team.worker("confirmer")  # no other stage: fused stages need no worker of their own
        await team.watching(ahead=AHEAD)
        ids = [await team.place(SNIPER) for _ in range(5)]
        assert await team.ended(ids) == ["confirmed"] * 5
        breaths = {stored.time_us for stored, event in team.seen if event.version in range(3, 8)}
        assert len(breaths) <= 5
        assert set(team.executions().values()) == {1}


async def test_a_step_that_the_venue_does_not_answer_at_once_is_left_to_its_stage(
    redis_url: str, tmp_path: Path
) -> None:
    slow = replace(MOVING, latency_ms=60)
    async with crew(redis_url, tmp_path, slow) as team:
        await team.all_stages()
        await team.watching(ahead=AHEAD)
        order_id = await team.place(replace(SNIPER, token_out="RAY"))
        assert await team.ended([order_id]) == ["confirmed"]
        assert team.names(order_id).count("OrderTriggered") == 1


async def test_a_fused_sniper_order_is_stopped_by_a_halt(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        await team.worker("confirmer")
        await engine_switch.halt(team.log, "odd", "ann")
        watcher = await team.watching(ahead=AHEAD)
        order_id = await team.place(replace(SNIPER, token_out="RAY"))
        await until(lambda: watcher._halted)
        assert team.names(order_id) == ["OrderSubmitted", "OrderArmed"]
        assert not team.executions()
        await engine_switch.resume(team.log, "ann")
        assert await team.ended([order_id]) == ["confirmed"]


async def test_watching_orders_and_orders_that_wait_for_a_retry_expire_on_time(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        for name in ("watcher", "builder", "submitter", "confirmer"):
            await team.worker(name)
        await team.watching()
        expires = time.time_ns() // 1000 + 400_000
        rests = await team.place(limit(NEVER, expires_at_us=expires, time_in_force="GTT"))
        waits = new_order_id()
        market = OrderSubmitted("market", "SOL", "USDC", 9, 6, 10**9, 50, expires_at_us=expires)
        await team.log.append([team.log.build_creation(waits, ACCOUNT, market)[0]])
        head = await team.head(waits)
        again = AttemptFailed("router", 1, "venue-timeout", "", expires + 10**9)
        request, _ = team.log.build_append_of(head, head.order, [again], wait_ms=10**6)
        await team.log.append([request])
        assert await team.ended([rests, waits]) == ["expired"] * 2
        # What waits for a retry would wait for a quarter of an hour more.
        assert all(event.time_us >= expires for event in team.of(OrderExpired))
        assert await team.log.resting() == 0


async def test_an_order_whose_expiry_was_removed_does_not_expire(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        expires = time.time_ns() // 1000 + 50_000
        terms: dict[str, object] = {"expires_at_us": expires, "time_in_force": "GTT"}
        kept, expired = [await team.place(limit(NEVER, **terms)) for _ in range(2)]
        for order_id in (kept, expired):
            await team.append(order_id, OrderArmed(1))
        done = await orders.amend(team.log, kept, 2, None, orders.NEVER, "ann")
        assert done.outcome is CommandOutcome.DONE
        await team.watching()  # from here on orders expire
        assert await team.ended([expired]) == ["expired"]
        assert team.statuses()[kept] == "watching"


async def test_a_cancelled_order_is_in_no_book_and_an_amended_one_waits_for_its_new_price(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        watcher = await team.engine()
        ids = [await team.place(LIMIT) for _ in range(3)]
        await rested(team, *ids)
        await until(lambda: watcher.resting == 3)
        assert (await orders.cancel(team.log, ids[0], "ann")).outcome is CommandOutcome.DONE
        await until(lambda: watcher.resting == 2)
        amended = await orders.amend(team.log, ids[1], 2, often(team, 200), None, "ann")
        assert amended.outcome is CommandOutcome.DONE
        assert await team.ended([ids[1]]) == ["confirmed"]
        assert await team.log.resting() == watcher.resting == 1


async def test_a_halt_stops_every_trigger_and_a_resume_starts_them_again(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        watcher = await team.engine()
        await engine_switch.halt(team.log, "odd prices", "ann")
        ids = [await team.place(limit("1")) for _ in range(5)]
        await rested(team, *ids)
        await until(lambda: watcher._halted)
        await until(lambda: watcher.resting == 5)
        assert not team.of(OrderTriggered)
        await engine_switch.resume(team.log, "ann")
        assert await team.ended(ids) == ["confirmed"] * 5


async def test_ticks_during_a_halt_trigger_no_order_after_a_takeover(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        await engine_switch.halt(team.log, "odd prices", "ann")
        ids = [await team.place(limit("1")) for _ in range(3)]  # any tick would do
        await rested(team, *ids)
        market = VenueGroup(team.venues(), timeout_s=HANG_S)
        await market.next_slot(market.slot() + 3)
        engine = (await engine_switch.resume(team.log, "ann")).engine
        assert engine is not None
        await team.watching()
        await team.until(lambda: len(team.of(OrderTriggered)) == 3)
        slots = {event.fact.slot for event in team.of(OrderTriggered)}  # type: ignore[union-attr]  # of one kind
        assert min(slots) > market.slot_at(engine.updated_at_us)


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
async def test_an_ioc_or_fok_order_fails_during_a_halt(
    redis_url: str, tmp_path: Path, time_in_force: str
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.engine()
        await engine_switch.halt(team.log, "odd prices", "ann")
        [order_id] = await team.submit(1, min_amount_out=1, time_in_force=time_in_force)
        assert await team.ended([order_id]) == ["failed"]
        assert [f.reason for f in team.facts(order_id) if isinstance(f, OrderFailed)] == ["halted"]
        await engine_switch.resume(team.log, "ann")
        await team.settled("submitter")
        assert not team.executions()


async def test_a_price_that_retreats_before_the_swap_sends_the_order_back(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.engine()
        order_id = await team.place(LIMIT)
        await rested(team, order_id)
        await team.append(order_id, OrderTriggered("tick", "raydium", "p", 1, NEVER))
        await team.until(lambda: team.of(OrderRearmed))
        await team.until(lambda: team.statuses()[order_id] == "watching")
        version = (await team.head(order_id)).version
        await orders.amend(team.log, order_id, version, "1", None, "ann")
        assert await team.ended([order_id]) == ["confirmed"]


async def test_a_new_watcher_loads_every_watching_order(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        for name in ("watcher", "router", "builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = [await team.place(limit(often(team, 200))) for _ in range(10)]
        ids += [await team.place(LIMIT) for _ in range(10)]
        await rested(team, *ids)
        watcher = await team.watching()
        assert await team.ended(ids[:10]) == ["confirmed"] * 10
        await until(lambda: watcher.resting == 10)


TOKENS = ("USDC", "USDT", "RAY", "JUP", "SLIP", "FLAKY", "DOUBT", "NEVER")


def preferring(name: str) -> set[str]:
    """The pairs that one of two watchers, "ann" and "bob", gets: half of them each."""
    pairs = [f"SOL>{token}" for token in TOKENS]
    return {pair for pair in pairs if rendezvous_owner(pair, ["ann", "bob"]) == name}


async def test_watchers_share_the_pairs_and_take_over_those_of_a_dead_watcher(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        for token in TOKENS:
            await team.place(replace(LIMIT, token_out=token))
        first = await team.watching(name="ann", lease_ms=100)
        await until(lambda: len(first.held) == len(TOKENS))
        second = await team.watching(name="bob", lease_ms=100)
        assert len(preferring("ann")) == len(preferring("bob"))
        await until(
            lambda: {*first.held} == preferring("ann") and {*second.held} == preferring("bob")
        )
        await first.die()
        await until(lambda: len(second.held) == len(TOKENS))


async def test_a_stopping_watcher_releases_its_pairs_at_once(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        for token in TOKENS:
            await team.place(replace(LIMIT, token_out=token))
        first = await team.watching(lease_ms=NEVER_MS)
        await until(lambda: len(first.held) == len(TOKENS))
        second = await team.watching(lease_ms=100)
        await first.stop()
        await until(lambda: len(second.held) == len(TOKENS))


@pytest.mark.parametrize("stops", [False, True], ids=["log fails", "watcher stops"])
async def test_a_pair_whose_release_fails_is_released_by_a_retry(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    *known, new = TOKENS
    first_release = asyncio.Event()
    release = PairLeases.release

    async def released(watches: PairLeases, pairs: Sequence[str] = ()) -> None:
        if pairs and not first_release.is_set():
            first_release.set()
            if stops:
                await asyncio.Event().wait()
            raise Unavailable("no answer")
        await release(watches, pairs)

    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        for token in known:
            await team.place(replace(LIMIT, token_out=token))
        # Its leases do not expire in time: it has to release them.
        first = await team.watching(name="ann", lease_ms=NEVER_MS)
        await until(lambda: len(first.held) == len(known))
        monkeypatch.setattr(PairLeases, "release", released)
        second = await team.watching(name="bob", lease_ms=100)
        watches = team.log.watches("eve", lease_ms=1)

        async def has_claimed(name: str) -> bool:
            return name in (await watches.claim({}, 0)).watchers

        try:
            await until(lambda: has_claimed("bob"))
        finally:
            await watches.close()
        await team.place(replace(LIMIT, token_out=new))  # a new pair is claimed at once
        await first_release.wait()
        if stops:
            await first.stop()
        await until(lambda: {*second.held} >= preferring("bob"))


async def test_an_append_of_a_stage_to_a_cancelled_order_is_a_conflict(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        order_id = await team.place(LIMIT)
        head = await team.head(order_id)
        assert (await orders.cancel(team.log, order_id, "ann")).outcome is CommandOutcome.DONE
        request, _ = team.log.build_append_of(head, head.order, [OrderArmed(1)])
        assert (await team.log.append([request]))[0].status is AppendStatus.CONFLICT
        assert not team.of(TransactionSubmitted)
