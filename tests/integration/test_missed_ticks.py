"""Which ticks count for an order that a watcher hears of late, or takes over: those since its own

first slot, or since its price was amended; neither more nor fewer, however long it went unheard.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.commands import orders
from events.log import LeaseGrant, OrderHead
from events.order import Order
from events.types import (
    OrderArmed,
    OrderParked,
    OrderRequeued,
    OrderSubmitted,
    OrderTriggered,
    Quote,
)
from stages.triggers.pair_book import TriggerCandidate
from stages.triggers.writer import Untriggered
from stages.venues import Pair, PoolEvent, Tick, VenueRefusal
from tests.support.log.log_server import LogServer
from tests.support.log.workers import Crew, Gate, Watcher, crew
from tests.support.waits import until

LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="300", time_in_force="GTC"
)
PAIR = "SOL>USDC"


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 50)


class Told:
    """A venue that is told its slot and its prices, and remembers which slots it was asked for."""

    name = "told"

    def __init__(self) -> None:
        self.prices: dict[int, str] = {}
        """Of slots at which the price is not 100."""
        self.asked: list[int] = []
        self._began = [(0, 10)]
        self._moved = asyncio.Event()

    def move(self, slot: int) -> None:
        self._began.append((time.time_ns() // 1000, slot))
        self._moved.set()
        self._moved = asyncio.Event()

    def slot(self) -> int:
        return self._began[-1][1]

    def slot_at(self, time_us: int) -> int:
        return self._began[bisect.bisect_right(self._began, (time_us, 2**62)) - 1][1]

    async def next_slot(self, after: int) -> int:
        while self.slot() <= after:
            await self._moved.wait()
        return self.slot()

    def ticks(self, pair: Pair, first: int, last: int) -> list[Tick]:
        del pair
        slots = range(first, last + 1)
        self.asked += slots
        return [Tick("told", "p", slot, self.prices.get(slot, "100")) for slot in slots]

    def pools(self, pair: Pair, first: int, last: int) -> list[PoolEvent]:
        del pair, first, last
        return []

    def quotes(self, order: Order) -> tuple[Quote]:
        raise VenueRefusal("no-route", order.id)


class Watch:
    """A crew without those who would act on a trigger, watching one venue that is told."""

    def __init__(self, team: Crew) -> None:
        self.team = team
        self.venue = Told()
        self.hears = asyncio.Event()
        self.hears.set()

    async def begun(self) -> Watcher:
        """A watcher, which hears no news while `hears` is not set."""
        watcher = await self.team.watching(lease_ms=100, venues=[self.venue])
        news = watcher._watches.news

        async def held_up(after: int, *, block_ms: int) -> tuple[int, list[str]]:
            result = await news(after, block_ms=min(block_ms, 20))
            await self.hears.wait()
            return result

        watcher._watches.news = held_up  # type: ignore[method-assign]  # that is the point
        return watcher

    async def resting(self, target: str = "300") -> str:
        order_id = await self.team.place(replace(LIMIT, target_price=target))
        await self.team.until(
            lambda: order_id in {event.order_id for event in self.team.of(OrderArmed)}
        )
        return order_id

    async def amended(self, order_id: str, target: str) -> None:
        version = (await self.team.head(order_id)).version
        answer = await orders.amend(self.team.log, order_id, version, target, None, "ann")
        assert answer.outcome is orders.CommandOutcome.DONE

    async def begun_with_a_distant_order(self, prices: dict[int, str]) -> Watcher:
        """A watcher of one order that no tick triggers, through slot 12 of these prices."""
        watcher = await self.begun()
        await self.resting("1000")
        self.venue.prices = prices
        await self.followed(watcher, 12)
        return watcher

    async def followed(self, watcher: Watcher, slot: int) -> None:
        """Through this slot, and the log knows."""
        self.venue.move(slot)
        key, link = self.team.log.keys.slots, LogServer(self.team.log)

        async def noted() -> bool:
            return int(await link.call("HGET", key, PAIR) or 0) >= slot

        await until(lambda: watcher.held == {PAIR: slot})
        await until(noted)

    async def triggered_at(self, order_id: str) -> int:
        await self.team.until(lambda: self.team.of(OrderTriggered))
        [event] = self.team.of(OrderTriggered)
        assert event.order_id == order_id
        assert isinstance(event.fact, OrderTriggered)
        return event.fact.slot


@pytest.fixture
async def context(redis_url: str, tmp_path: Path) -> AsyncIterator[Watch]:
    async with crew(redis_url, tmp_path) as team:
        watch = Watch(team)
        await team.worker(team.stage("watcher", venues=[watch.venue]))
        yield watch


async def test_a_tick_missed_while_no_watcher_runs_triggers_later(context: Watch) -> None:
    first = await context.begun()
    order_id = await context.resting()
    await context.followed(first, 12)
    await first.die()
    context.venue.prices = {15: "300"}
    context.venue.move(20)
    await context.begun()
    assert await context.triggered_at(order_id) == 15


async def test_a_slot_is_not_recorded_before_its_triggers_are_in_the_log(context: Watch) -> None:
    """A watcher that dies in between leaves the trigger to the next one."""
    first = await context.begun()
    order_id = await context.resting()
    await context.followed(first, 12)
    gate, claims = Gate(), count()
    claim, claimed = first._watches.claim, 0

    async def held_up(candidates: Sequence[TriggerCandidate]) -> Untriggered:
        del candidates  # they wait until this watcher is dead
        await gate.passing()
        return Untriggered([], [])

    async def counted(pairs: Mapping[str, int | None], news: int) -> LeaseGrant:
        nonlocal claimed
        answer = await claim(pairs, news)
        claimed = next(claims)
        return answer

    first._firing.fire = held_up  # type: ignore[method-assign]  # that is the point
    first._watches.claim = counted  # type: ignore[method-assign]  # that is the point
    context.venue.prices = {15: "300"}
    context.venue.move(20)
    await gate.reached.wait()
    reached_at = claimed
    await until(lambda: claimed > reached_at + 1)
    await first.die()
    context.venue.move(30)
    await context.begun()
    assert await context.triggered_at(order_id) == 15


async def test_an_order_armed_while_the_trigger_book_is_built_is_in_it(context: Watch) -> None:
    watcher = await context.begun()
    await context.resting("1000")
    await context.followed(watcher, 12)
    pages, orders = watcher._watches.resting, list[str]()

    async def overtaken() -> AsyncGenerator[list[OrderHead]]:
        async for page in pages():
            yield page
        if not orders:
            orders.append(await context.resting())

    watcher._watches.resting = overtaken  # type: ignore[method-assign]  # that is the point
    watcher._built.clear()
    await until(lambda: orders and watcher.resting == 2)
    context.venue.prices = {21: "300"}
    context.venue.move(21)
    assert await context.triggered_at(orders[0]) == 21


async def test_after_a_takeover_an_amended_order_is_not_triggered_by_a_tick_from_before(
    context: Watch,
) -> None:
    first = await context.begun()
    order_id = await context.resting()
    context.venue.prices = {12: "200", 22: "160"}
    await context.followed(first, 20)
    await first.die()
    await context.amended(order_id, "150")
    second = await context.begun()
    await context.followed(second, 21)
    assert not context.team.of(OrderTriggered)
    context.venue.move(22)
    assert await context.triggered_at(order_id) == 22


async def test_a_tick_between_an_amendment_and_its_news_counts(context: Watch) -> None:
    watcher = await context.begun()
    order_id = await context.resting()
    context.venue.prices = {12: "200", 21: "160"}
    await context.followed(watcher, 20)
    context.hears.clear()
    await context.amended(order_id, "150")
    await context.followed(watcher, 22)
    assert not context.team.of(OrderTriggered)
    context.hears.set()
    assert await context.triggered_at(order_id) == 21


LONG = 5000
"""Slots: more than half an hour of a chain."""


async def test_an_order_received_late_is_checked_against_every_tick_since_its_slot(
    context: Watch,
) -> None:
    watcher = await context.begun_with_a_distant_order({11: "999", 13: "300"})
    context.hears.clear()
    orders = [await context.resting("999") for _ in range(50)]
    order_id = await context.resting()
    await context.followed(watcher, LONG)
    context.venue.asked.clear()
    context.hears.set()
    assert await context.triggered_at(order_id) == 13
    await until(lambda: watcher.resting == 1 + len(orders))
    assert len(context.venue.asked) <= 2 * LONG  # once for all that a read of the news brings


async def test_a_takeover_reads_ticks_since_the_oldest_order_unknown_to_the_last_holder(
    context: Watch,
) -> None:
    first = await context.begun_with_a_distant_order({11: "999", 13: "300"})
    context.hears.clear()
    order_id = await context.resting()
    await context.followed(first, LONG)
    await first.die()
    context.hears.set()
    await context.begun()
    assert await context.triggered_at(order_id) == 13


async def test_a_takeover_does_not_repeat_ticks_of_the_last_holder(context: Watch) -> None:
    first = await context.begun()
    await context.resting()
    await context.followed(first, LONG)
    await until(lambda: first._news == first._read)
    await context.followed(first, LONG + 1)
    await first.die()
    context.venue.asked.clear()
    second = await context.begun()
    await context.followed(second, LONG + 2)
    assert context.venue.asked == [LONG + 2]


async def test_with_a_trimmed_trigger_book_feed_orders_are_checked_since_their_slots(
    context: Watch,
) -> None:
    first = await context.begun_with_a_distant_order({13: "300"})
    context.hears.clear()
    order_id = await context.resting()
    await context.resting("1000")
    await context.followed(first, LONG)
    await first.die()
    await LogServer(context.team.log).call("XTRIM", context.team.log.keys.book, "MAXLEN", 1)
    context.hears.set()
    await context.begun()
    assert await context.triggered_at(order_id) == 13


async def test_ticks_that_passed_while_an_order_was_parked_do_not_count_after_its_replay(
    context: Watch,
) -> None:
    watcher = await context.begun()
    order_id = await context.resting()
    await context.resting("1000")
    await context.team.append(order_id, OrderParked("watcher", "bug", "engine"))
    await until(lambda: watcher.resting == 1)
    context.venue.prices = {12: "300", 21: "300"}
    await context.followed(watcher, 20)
    await context.team.append(order_id, OrderRequeued("fixed", "ann"))
    await until(lambda: watcher.resting == 2)
    context.venue.move(21)
    assert await context.triggered_at(order_id) == 21
