"""A watcher dies at each point between what it reads and what it says: a successor triggers what it
did not say, once, and nothing else. A price touches in one slot only, so that what is lost stays
lost, and the log's own notes are looked at while the dead one lies there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.commands import engine_switch, orders
from events.ids import ENGINE_STREAM_ID, new_order_id
from events.log import AppendStatus, PairLeases
from events.order import Order
from events.types import Fact, OrderArmed, OrderExpired, OrderSubmitted, OrderTriggered
from tests.integration.test_missed_ticks import Told
from tests.support.log.log_server import LogServer
from tests.support.log.workers import ACCOUNT, Crew, Watcher, crew
from tests.support.processes.mortal import Point, Trap
from tests.support.waits import HANG_S, until

PAIRS = (("SOL", "USDC", 9, 6), ("SOL", "USDT", 9, 6), ("RAY", "USDC", 6, 6))
TOUCH = 12
"""The only slot whose price pays."""
LAST = 20
"""Where the chain is when a successor comes."""
LEASE_MS = 100

TRIGGERING = [
    Point("load", "before"),
    Point("load", "after"),
    Point("append", "before"),
    Point("append", "after"),
]


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.triggers.runner.NEWS_BLOCK_MS", 20)


class Scene:
    """Orders that rest, and who watches them."""

    def __init__(self, team: Crew) -> None:
        self.team = team
        self.venue = Told()
        self.venue.prices = {TOUCH: "200"}

    async def rest(
        self, number: int, *, pair: tuple[str, str, int, int] = PAIRS[0], target: str = "150",
        **fields: object,
    ) -> list[str]:  # fmt: skip
        """So many orders that rest since slot 10."""
        fact = OrderSubmitted(
            "limit", *pair, 1_500_000_000, 0, target_price=target, time_in_force="GTC"
        )
        fact = replace(fact, **fields)
        ids = [new_order_id() for _ in range(number)]
        for at in range(0, number, 500):
            units = []
            for order_id in ids[at : at + 500]:
                request, order = self.team.log.build_creation(order_id, ACCOUNT, fact)
                units.append(request)
            answers = await self.team.log.append(units)
            assert {answer.status for answer in answers} == {AppendStatus.CREATED}
            await self.append(ids[at : at + 500], OrderArmed(10))
            del order
        return ids

    async def append(self, ids: Sequence[str], *facts: Fact) -> None:
        heads = await self.team.log.load(ids)
        requests = [
            self.team.log.build_append_of(h, h.order, facts)[0] for h in heads if h is not None
        ]
        answers = await self.team.log.append(requests)
        assert {answer.status for answer in answers} == {AppendStatus.CREATED}

    async def watcher(self, trap: Trap | None = None) -> Watcher:
        watcher = await self.team.watching(lease_ms=LEASE_MS, venues=[self.venue])
        if trap is not None:
            # An append of nothing is none, and who looks for a halt looks for no order.
            trap.at(watcher._firing, "heads", "load")
            trap.at(
                watcher._log, "load", "look", asks=lambda ids: ids and ids != [ENGINE_STREAM_ID]
            )
            trap.at(watcher._log, "append", asks=bool)
            trap.at(watcher._watches, "news", tells=lambda answer: answer[1])
            for name in ("claim", "due"):
                trap.at(watcher._watches, name)
        return watcher

    async def knows(self, watcher: Watcher, orders: int) -> None:
        """It has all in its books, and follows their pairs."""
        await until(
            lambda: (
                watcher.resting == orders
                and watcher._news == watcher._read
                and len(watcher.held) == len(watcher._books)
            ),
        )

    async def deaf(self, watcher: Watcher) -> None:
        """It hears no news from now on."""
        listens = asyncio.Event()

        async def nothing(*_: object, **__: object) -> tuple[int, list[str]]:
            listens.set()
            await asyncio.Event().wait()
            raise AssertionError("no event wakes it")

        watcher._watches.news = nothing  # type: ignore[method-assign]
        await asyncio.wait_for(listens.wait(), HANG_S)

    async def claims(self, watcher: Watcher, rounds: int = 2) -> None:
        """It says how far it followed its pairs, in rounds that begin from now on."""
        claim, done = watcher._watches.claim, Counter[str]()

        async def counted(*args: object) -> object:
            answer = await claim(*args)  # type: ignore[arg-type]
            done["claims"] += 1
            return answer

        watcher._watches.claim = counted  # type: ignore[method-assign,assignment]
        await until(lambda: done["claims"] >= rounds)

    async def caught_up(self, watcher: Watcher) -> None:
        """It follows all pairs, through the last slot, and has recorded that."""
        await until(
            lambda: (
                watcher._built.is_set()
                and len(watcher.held) == len(watcher._books)
                and set(watcher.held.values()) <= {LAST}
            ),
        )
        await self.claims(watcher)

    async def noted(self) -> dict[str, int]:
        """Through which slot each pair was followed, as a successor is told."""
        keys, link = self.team.log.keys, LogServer(self.team.log)
        reply = await link.call("HGETALL", keys.slots)
        return {k.decode(): int(v) for k, v in zip(reply[::2], reply[1::2], strict=True)}

    def triggered(self) -> Counter[str]:
        return Counter(event.order_id for event in self.team.of(OrderTriggered))

    def slots(self) -> set[int]:
        return {e.fact.slot for e in self.team.of(OrderTriggered)}  # type: ignore[union-attr]

    async def all_once(self, ids: Sequence[str], slot: int = TOUCH) -> None:
        """A successor, at a later slot, leaves each triggered once, by the one tick that paid."""
        self.venue.move(LAST)
        successor = await self.watcher()
        await self.team.until(lambda: len(self.triggered()) >= len(ids))
        await self.caught_up(successor)
        assert self.triggered() == dict.fromkeys(ids, 1)
        assert self.slots() == {slot}

    async def order(self, order_id: str) -> Order:
        return (await self.team.head(order_id)).order


@contextlib.asynccontextmanager
async def scene_of(redis_url: str, folder: Path) -> AsyncIterator[Scene]:
    async with crew(redis_url, folder) as team:
        yield Scene(team)


# -- between the tick and its word -------------------------------------------------------------


@pytest.mark.parametrize("point", TRIGGERING, ids=str)
async def test_triggers_of_a_slot_are_appended_before_the_slot_is_noted(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = [i for pair in PAIRS for i in await scene.rest(3, pair=pair)]
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, len(ids))
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        await scene.claims(first)  # the rest of it lives, and says how far it is
        noted = await scene.noted()
        assert all(slot < TOUCH for slot in noted.values()), noted
        assert all(slot < TOUCH for slot in first.held.values())
        await first.die()
        await scene.all_once(ids)


@pytest.mark.parametrize("point", [Point(c, f, 2) for c, f, _ in TRIGGERING], ids=str)
async def test_more_orders_than_one_append_takes_are_each_triggered_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    monkeypatch.setattr("stages.triggers.writer.UNITS_MAX", 5)
    async with scene_of(redis_url, tmp_path) as scene:
        ids = [i for pair in PAIRS for i in await scene.rest(7, pair=pair)]
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, len(ids))
        await scene.deaf(first)  # what it says makes news, for which it would look, too
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        await scene.claims(first)
        assert all(slot < TOUCH for slot in (await scene.noted()).values())
        await first.die()
        assert 0 < len(scene.triggered()) < len(ids)
        await scene.all_once(ids)


async def test_more_than_a_thousand_orders_of_one_slot_are_triggered_once_each(
    redis_url: str, tmp_path: Path
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = [i for pair in PAIRS[:2] for i in await scene.rest(600, pair=pair)]
        trap = Trap(Point("append", "before", 2))
        first = await scene.watcher(trap)
        await scene.knows(first, len(ids))
        await scene.deaf(first)
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        await scene.claims(first)
        await first.die()
        assert len(scene.triggered()) == 500
        await scene.all_once(ids)


async def test_a_noted_slot_is_not_checked_again(redis_url: str, tmp_path: Path) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = await scene.rest(3)
        await scene.rest(1, target="1000")
        first = await scene.watcher()
        await scene.knows(first, 4)
        scene.venue.move(TOUCH + 1)
        await scene.team.until(lambda: len(scene.triggered()) == 3)
        await until(lambda: set(first.held.values()) == {TOUCH + 1})
        await scene.claims(first)
        assert set((await scene.noted()).values()) == {TOUCH + 1}
        await first.die()
        scene.venue.asked.clear()
        await scene.all_once(ids)
        assert min(scene.venue.asked) == TOUCH + 2


# -- between the news and the book -------------------------------------------------------------

HEARING = [
    Point("news", "after"),
    Point("load", "before"),
    Point("load", "after"),
]


@pytest.mark.parametrize("point", HEARING, ids=str)
async def test_an_order_read_but_not_in_the_book_is_checked_by_the_next_watcher(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    """Its slot passes meanwhile, and is noted for those of whom was heard."""
    async with scene_of(redis_url, tmp_path) as scene:
        await scene.rest(1, target="1000")
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, 1)
        trap.set()
        late = [i for pair in (PAIRS[0], PAIRS[0]) for i in await scene.rest(2, pair=pair)]
        await trap.sprung()
        scene.venue.move(TOUCH + 1)
        await until(lambda: set(first.held.values()) == {TOUCH + 1})
        await scene.claims(first)
        await first.die()
        assert not scene.triggered()
        await scene.all_once(late)


@pytest.mark.parametrize("point", TRIGGERING, ids=str)
async def test_an_order_received_late_is_triggered_once_across_watcher_deaths(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        await scene.rest(1, target="1000")
        # The first look is for the heads of those in the news.
        number = 2 if point.call == "load" else 1
        trap = Trap(point._replace(number=number))
        first = await scene.watcher(trap)
        await scene.knows(first, 1)
        scene.venue.move(TOUCH + 1)
        await until(lambda: set(first.held.values()) == {TOUCH + 1})
        trap.set()
        late = await scene.rest(3)
        await trap.sprung()
        await scene.claims(first)
        await first.die()
        await scene.all_once(late)


# -- taking over -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [Point("claim", "before"), Point("claim", "after"), Point("claim", "after", 2), *TRIGGERING],
    ids=str,
)
async def test_a_watcher_that_dies_during_a_takeover_leaves_every_pair_to_the_next(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = [i for pair in PAIRS for i in await scene.rest(2, pair=pair)]
        first = await scene.watcher()
        await scene.knows(first, len(ids))
        await first.die()
        scene.venue.move(TOUCH + 1)
        trap = Trap(point)
        trap.set()
        second = await scene.watcher(trap)
        await trap.sprung()
        await second.die()
        await scene.all_once(ids)


# -- acts while it triggers --------------------------------------------------------------------


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "slow"])
@pytest.mark.parametrize("point", TRIGGERING[:3], ids=str)
async def test_a_cancel_between_a_tick_and_its_append_wins(
    redis_url: str, tmp_path: Path, point: Point, dies: bool
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        [gone, *ids] = await scene.rest(4)
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, 4)
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        answer = await orders.cancel(scene.team.log, gone, "ann")
        assert answer.outcome is orders.CommandOutcome.DONE
        if dies:
            await scene.claims(first)
            await first.die()
        else:
            trap.go.set()
            await scene.team.until(lambda: len(scene.triggered()) == len(ids))
            await first.stop()
        await scene.all_once(ids)
        assert (await scene.order(gone)).status == "cancelled"


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "slow"])
@pytest.mark.parametrize("point", TRIGGERING[:3], ids=str)
async def test_an_amend_between_a_tick_and_its_append_counts(
    redis_url: str, tmp_path: Path, point: Point, dies: bool
) -> None:
    """One is amended to a price that this tick does not pay, one to a price that it does: an
    amended price counts from its own slot on, which comes later than the tick.
    """
    async with scene_of(redis_url, tmp_path) as scene:
        [dearer, cheaper, *ids] = await scene.rest(4)
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, 4)
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        for order_id, target in ((dearer, "300"), (cheaper, "90")):
            version = (await scene.order(order_id)).version
            answer = await orders.amend(scene.team.log, order_id, version, target, None, "ann")
            assert answer.outcome is orders.CommandOutcome.DONE
        if dies:
            await scene.claims(first)
            await first.die()
        else:
            trap.go.set()
            await scene.team.until(lambda: len(scene.triggered()) == len(ids) + 1)
            await first.stop()
        scene.venue.move(LAST)
        successor = await scene.watcher()
        await scene.team.until(lambda: len(scene.triggered()) >= len(ids) + 1)
        await scene.caught_up(successor)
        assert scene.triggered() == dict.fromkeys([cheaper, *ids], 1)
        by_order = {e.order_id: e.fact.slot for e in scene.team.of(OrderTriggered)}  # type: ignore[union-attr]
        assert by_order == dict.fromkeys(ids, TOUCH) | {cheaper: TOUCH + 1}
        assert (await scene.order(dearer)).status == "watching"


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "slow"])
@pytest.mark.parametrize("point", TRIGGERING[:3], ids=str)
async def test_a_halt_between_a_tick_and_its_append_wins_and_the_tick_is_void(
    redis_url: str, tmp_path: Path, point: Point, dies: bool
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = await scene.rest(4)
        trap = Trap(point)
        first = await scene.watcher(trap)
        await scene.knows(first, 4)
        trap.set()
        scene.venue.move(TOUCH + 1)
        await trap.sprung()
        await engine_switch.halt(scene.team.log, "odd", "ann")
        if dies:
            await first.die()
        else:
            trap.go.set()
            await until(lambda: first._halted)
        scene.venue.move(LAST)
        assert not scene.triggered()
        await engine_switch.resume(scene.team.log, "ann")
        watcher = await scene.watcher() if dies else first
        await until(lambda: set(watcher.held.values()) == {LAST})
        await scene.claims(watcher)
        assert not scene.triggered(), "what passed before the resume triggers nothing"
        scene.venue.prices = {LAST + 1: "200"}
        scene.venue.move(LAST + 1)
        await scene.team.until(lambda: len(scene.triggered()) >= len(ids))
        assert scene.triggered() == dict.fromkeys(ids, 1)
        assert scene.slots() == {LAST + 1}


# -- expiry ------------------------------------------------------------------------------------

EXPIRING = [
    Point("due", "before"),
    Point("due", "after"),
    Point("look", "after"),
    Point("append", "before"),
    Point("append", "after"),
    Point("due", "after", 2),
    Point("append", "before", 2),
]


@pytest.mark.parametrize("point", EXPIRING, ids=str)
async def test_more_orders_expire_than_a_round_takes_and_each_does_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    monkeypatch.setattr("stages.triggers.expiry.PER_ROUND", 5)
    async with scene_of(redis_url, tmp_path) as scene:
        ids = await scene.rest(12, target="1000", expires_at_us=1, time_in_force="GTT")
        trap = Trap(point)
        trap.set()
        first = await scene.watcher(trap)
        await trap.sprung()
        await first.die()
        await scene.watcher()
        await scene.team.until(lambda: len(scene.team.of(OrderExpired)) >= len(ids))
        ended = Counter(event.order_id for event in scene.team.of(OrderExpired))
        assert ended == dict.fromkeys(ids, 1)
        left = await LogServer(scene.team.log).call("ZCARD", scene.team.log.keys.expiry)
        assert left == 0


async def test_more_than_five_hundred_orders_expire_at_once(redis_url: str, tmp_path: Path) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        ids = await scene.rest(1100, target="1000", expires_at_us=1, time_in_force="GTT")
        await scene.watcher()
        await scene.team.until(lambda: len(scene.team.of(OrderExpired)) >= len(ids))
        ended = Counter(event.order_id for event in scene.team.of(OrderExpired))
        assert ended == dict.fromkeys(ids, 1)


async def test_a_watcher_that_lost_a_pair_cannot_note_the_slot_of_the_next_holder(
    redis_url: str, tmp_path: Path
) -> None:
    async with scene_of(redis_url, tmp_path) as scene:
        log = scene.team.log
        first, second = [log.watches(name, lease_ms=1) for name in ("first", "second")]
        try:
            for slot in (None, 11):
                await first.claim({"SOL>USDC": slot}, 0)

            async def taken(watches: PairLeases, slot: int | None) -> bool:
                """Once the lease of its holder has expired."""
                return bool((await watches.claim({"SOL>USDC": slot}, 0)).held)

            await until(lambda: taken(second, None))
            await until(lambda: taken(first, 15))
            assert await scene.noted() == {"SOL>USDC": 11}
        finally:
            await first.close()
            await second.close()
