"""Limits hold over all workers; excess waits and is not rejected; who only waits holds nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from events.log import PERMITS
from events.order import Order, Transaction
from events.secret import SecretBytes
from events.types import (
    AttemptFailed,
    Fact,
    OrderConfirmed,
    OrderRouted,
    Quote,
    RoutingStarted,
    TransactionExpired,
    TransactionInDoubt,
    TransactionSubmitted,
)
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.limits.starts import STARTS, Starts
from stages.venues import Outcome, Venue
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.simulated.venue import SimulatedVenue, Simulation
from tests.support.log.log_server import LogServer
from tests.support.log.workers import PATIENT, Crew, Worker, crew
from tests.support.waits import HANG_S, holds, pace, until

WINDOW_MS = 400


def most_in_a_window(times_us: Sequence[int], window_ms: int) -> int:
    """The most events that any sliding window holds."""
    times = sorted(times_us)
    return max(
        sum(start <= time < start + window_ms * 1000 for time in times[first:])
        for first, start in enumerate(times)
    )


async def more_than(team: Crew, kind: type[Fact], least: int) -> None:
    await team.until(lambda: len(team.of(kind)) > least)


# -- ORDERS_PER_MINUTE -----------------------------------------------------------------------------


async def test_no_window_has_more_starts_than_the_limit_over_two_workers(
    redis_url: str, tmp_path: Path
) -> None:
    limit, orders = 8, 30
    async with crew(redis_url, tmp_path) as team:
        pace: dict[str, Any] = {"orders_per_minute": limit, "window_ms": WINDOW_MS}
        for _ in range(2):
            await team.worker("router", **pace)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = [item for _ in range(6) for item in await team.submit(orders // 6)]
        assert await team.ended(ids) == ["confirmed"] * orders  # all: excess waits
        starts = [event.time_us for event in team.of(RoutingStarted)]
        assert len(starts) == orders
        assert most_in_a_window(starts, WINDOW_MS) <= limit


async def test_orders_within_the_rate_limit_start_without_waiting_for_a_window(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        # No window ends within this test: what starts, starts at once.
        for _ in range(2):
            await team.worker("router", orders_per_minute=8, window_ms=3_600_000)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        await team.submit(10)
        await team.until(lambda: len(team.of(OrderConfirmed)) == 8)
        assert len(team.of(RoutingStarted)) == 8


async def test_a_start_that_comes_late_is_counted_from_its_start_and_not_from_its_admission(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = Starts.admit

    async def admit_early(starts: Starts, order_ids: Sequence[str]) -> dict[str, int]:
        waits = await admit(starts, order_ids)
        # The grace passes between admission and start: twice, as the server's ends a little later.
        late_s = starts._admitted[order_ids[0]].valid_s + starts._grace_ms / 1000
        while time.monotonic() < late_s:
            await pace(0.01)
        return waits

    monkeypatch.setattr(Starts, "admit", admit_early)
    async with crew(redis_url, tmp_path) as team, redis.asyncio.from_url(redis_url) as client:
        await team.worker("router", orders_per_minute=8, window_ms=WINDOW_MS * 10)
        [order_id] = await team.submit()
        await team.until(lambda: team.of(RoutingStarted))
        [started] = team.of(RoutingStarted)
        # It is there before the event is written: no death of the worker can hide the start.
        score_ms = await client.zscore(STARTS, order_id)
        assert score_ms is not None
        assert int(score_ms) >= started.time_us // 1000


async def test_an_admission_that_became_too_old_is_made_again(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have used up the limit when the answer comes: the order waits for its turn."""
    in_time, confirm = Starts._in_time, Starts.confirm
    async with crew(redis_url, tmp_path) as team, redis.asyncio.from_url(redis_url) as client:

        async def too_late(starts: Starts, order_ids: Sequence[str]) -> dict[str, int]:
            monkeypatch.setattr(Starts, "confirm", confirm)
            now_ms = time.time_ns() // 1_000_000
            await client.zrem(STARTS, *order_ids)
            await client.zadd(STARTS, {f"other {n}": now_ms for n in range(2)})
            monkeypatch.setattr(Starts, "_in_time", lambda *_: False)
            try:
                return await confirm(starts, order_ids)
            finally:
                monkeypatch.setattr(Starts, "_in_time", in_time)

        monkeypatch.setattr(Starts, "confirm", too_late)
        await team.worker("router", orders_per_minute=2, window_ms=3_600_000)
        await team.submit()
        await team.settled("router")

        async def waits() -> bool:
            return bool(await LogServer(team.log).call("ZCARD", team.log.keys.due("router")))

        await until(waits)
        assert not team.of(RoutingStarted)


async def test_orders_start_in_the_order_in_which_they_came(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        # Windows so long that an event of one is in the log before the next one begins.
        await team.worker("router", orders_per_minute=2, window_ms=1000)
        ids = [item for _ in range(6) for item in await team.submit()]
        await team.until(lambda: len(team.of(RoutingStarted)) == 6)
        started = [event.order_id for event in team.of(RoutingStarted)]
        assert [set(started[n : n + 2]) for n in range(0, 6, 2)] == [
            set(ids[n : n + 2]) for n in range(0, 6, 2)
        ]


async def test_retries_do_not_count_as_starts(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        # One a minute: were a retry a start, these would wait for minutes.
        await team.all_stages(orders_per_minute=3)
        ids = await team.submit(3, to="FLAKY")
        assert await team.ended(ids) == ["confirmed"] * 3
        assert len(team.of(AttemptFailed)) == 6
        assert len(team.of(RoutingStarted)) == 3


@pytest.mark.parametrize("ahead", [(), ("builder", "submitter")], ids=["inboxes", "fused"])
async def test_no_window_has_more_starts_than_the_limit_while_workers_die(
    redis_url: str, tmp_path: Path, ahead: Sequence[str]
) -> None:
    limit, orders, routers = 8, 48, 3
    async with crew(redis_url, tmp_path) as team:

        async def router() -> Worker:
            return await team.worker(
                "router", ahead=ahead, orders_per_minute=limit, window_ms=WINDOW_MS
            )

        running = [await router() for _ in range(routers)]
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = [item for _ in range(6) for item in await team.submit(orders // 6)]
        for least in range(3, orders, 3):
            await more_than(team, RoutingStarted, least)
            at = random.randrange(routers)
            await running[at].die()
            running[at] = await router()
        assert await team.ended(ids) == ["confirmed"] * orders
        times_us = [event.time_us for event in team.of(RoutingStarted)]
        assert len(times_us) == orders
        assert most_in_a_window(times_us, WINDOW_MS) <= limit
        assert team.executions() == dict.fromkeys(ids, 1)


async def test_a_token_counts_as_a_start_only_once_an_order_uses_it(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team, redis.asyncio.from_url(redis_url) as client:
        busy = RateAndConcurrencyLimiter(
            team.url, "busy", orders_per_minute=100, window_ms=3_600_000
        )
        other = RateAndConcurrencyLimiter(
            team.url, "other", orders_per_minute=100, window_ms=3_600_000
        )
        for name in ("a", "b"):
            waits = await busy.starts.admit([f"{name}{n}" for n in range(10)])
            assert set(waits.values()) == {0}
        assert len(busy.starts._spare) == 10  # as many as came before
        assert await client.zcard(STARTS) == 30
        waits = await busy.starts.admit([f"c{n}" for n in range(4)])
        assert set(waits.values()) == {0}
        assert await client.zcard(STARTS) == 30  # they started with tokens
        waits = await other.starts.admit([f"d{n}" for n in range(100)])
        assert sum(wait == 0 for wait in waits.values()) == 70  # what is counted is not given twice
        await busy.starts.close()
        assert await client.zcard(STARTS) == 94  # the six that were not used are returned
        await busy.close()
        await other.close()


@pytest.mark.parametrize(("limit", "tokens"), [(12, 0), (16, 1), (20, 2), (100, 6)], ids=str)
async def test_tokens_are_at_most_a_quarter_of_the_starts_that_are_left(
    redis_url: str, limit: int, tokens: int
) -> None:
    """Twelve orders have started: what a worker keeps for later ones is within the limit."""
    limiter = RateAndConcurrencyLimiter(
        redis_url, "busy", orders_per_minute=limit, window_ms=3_600_000
    )
    async with contextlib.AsyncExitStack() as stack, redis.asyncio.from_url(redis_url) as client:
        stack.push_async_callback(limiter.close)
        for name in ("a", "b"):
            waits = await limiter.starts.admit([f"{name}{n}" for n in range(6)])
            assert set(waits.values()) == {0}
        assert await client.zcard(STARTS) == 12 + tokens


# -- CONCURRENCY -----------------------------------------------------------------------------------


class Counted:
    """Counts the orders that are in venue calls, of all workers together. No call is answered
    before so many were in calls at once.
    """

    def __init__(self, expected: int) -> None:
        self.now: dict[str, int] = {}
        self.most = 0
        self._expected = expected
        self._reached = asyncio.Event()

    async def during(self, names: Sequence[str], seconds: float) -> None:
        for name in names:
            self.now[name] = self.now.get(name, 0) + 1
        self.most = max(self.most, len(self.now))
        if self.most >= self._expected:
            self._reached.set()
        try:
            await self._reached.wait()
            await pace(seconds)  # so that one too many would meet the others
        finally:
            for name in names:
                self.now[name] -= 1
                if not self.now[name]:
                    del self.now[name]


class Call:
    """A call that begins once it is awaited: a worker that dies before leaves nothing behind."""

    def __init__(self, begin: Callable[[], Awaitable[tuple[Quote]]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, None, tuple[Quote]]:
        return self._begin().__await__()


class CountedVenue(SimulatedVenue):
    def __init__(self, inner: Venue, counted: Counted, simulation: Simulation) -> None:
        super().__init__(inner.name, 20, simulation)
        self._counted = counted

    async def _later(self, order: Order) -> tuple[Quote]:
        await self._counted.during([order.id], 0.01)
        return (self._quote(order),)

    def quotes(self, order: Order) -> Awaitable[tuple[Quote]]:
        return Call(partial(self._later, order))


class CountedChain(SimulatedChain):
    def __init__(self, simulation: Simulation, ledger: Path, counted: Counted) -> None:
        super().__init__(simulation, ledger)
        self._counted = counted

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        await self._counted.during([f"send {hash(raw)}" for raw in transactions], 0.01)
        await super().send(transactions)


async def counted_workers(team: Crew, counted: Counted, concurrency: int, each: int = 2) -> None:
    """Two routers and two submitters whose venue calls are counted; the others as ever."""
    venues = [CountedVenue(venue, counted, team.simulation) for venue in team.venues()]
    for _ in range(each):
        await team.worker(team.stage("router", venues=venues), concurrency=concurrency)
        chain = CountedChain(team.simulation, team.ledger_path, counted)
        await team.worker(team.stage("submitter", chain=chain), concurrency=concurrency)
    await team.worker("builder")
    await team.worker(team.stage("confirmer", rebroadcast_ms=60_000))


async def test_never_more_orders_than_the_limit_are_in_venue_calls_over_all_workers(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        counted = Counted(5)
        await counted_workers(team, counted, 5)
        ids = [item for _ in range(4) for item in await team.submit(15)]
        assert await team.ended(ids) == ["confirmed"] * 60
        assert counted.most == 5
        assert team.executions() == dict.fromkeys(ids, 1)
        held = await LogServer(team.log).call("ZCARD", PERMITS)
        assert held <= 5


async def test_never_more_orders_than_the_limit_are_in_venue_calls_while_workers_die(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        counted = Counted(4)
        venues = [CountedVenue(venue, counted, team.simulation) for venue in team.venues()]

        async def router() -> Worker:
            stage = team.stage("router", venues=venues)
            return await team.worker(stage, concurrency=4, permit_lease_ms=400)

        running = [await router() for _ in range(3)]
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = [item for _ in range(4) for item in await team.submit(10)]
        for least in range(4, 40, 6):
            await more_than(team, OrderRouted, least)
            at = random.randrange(3)
            await running[at].die()
            running[at] = await router()
        assert await team.ended(ids) == ["confirmed"] * 40
        assert counted.most == 4
        assert team.executions() == dict.fromkeys(ids, 1)


async def test_limits_of_zero_admit_every_order(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        counted = Counted(40)
        await counted_workers(team, counted, 0)
        ids = await team.submit(40)
        assert await team.ended(ids) == ["confirmed"] * 40
        assert counted.most == 40


class DoubtingChain(SimulatedChain):
    """Cannot tell what became of orders for DOUBT, until it is released."""

    doubts = True

    def outcomes(self, sent: Sequence[Transaction]) -> list[Outcome | Awaitable[Outcome]]:
        unknown = Outcome("unknown", reason="node-not-answering")
        outcomes = super().outcomes(sent)
        for at, transaction in enumerate(sent):
            if self.doubts and b"DOUBT" in transaction.raw.reveal():
                outcomes[at] = unknown
        return outcomes


async def test_orders_in_doubt_and_orders_that_wait_hold_no_permit(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        chain = DoubtingChain(team.simulation, team.ledger_path)
        for name in ("router", "builder", "submitter", "confirmer"):
            await team.worker(team.stage(name, chain=chain), concurrency=1)
        doubtful = await team.submit(3, to="DOUBT")
        flaky = await team.submit(3, to="FLAKY")
        await team.until(lambda: len(team.of(TransactionInDoubt)) == 3)
        others = await team.submit(10)
        assert await team.ended(others) == ["confirmed"] * 10
        assert not {event.order_id for event in team.of(OrderConfirmed)} & set(doubtful)
        chain.doubts = False
        assert await team.ended([*doubtful, *flaky]) == ["confirmed"] * 6


async def test_a_transaction_that_never_lands_holds_no_permit_while_it_dies(
    redis_url: str, tmp_path: Path
) -> None:
    """Its blockhash outlives the others by far, however slow the machine is."""
    async with crew(redis_url, tmp_path, PATIENT) as team:
        await team.all_stages(concurrency=1, attempts_max=2)
        await team.submit(2, to="NEVER")
        await team.until(lambda: len(team.of(TransactionSubmitted)) == 2)
        others = await team.submit(5)
        assert await team.ended(others) == ["confirmed"] * 5
        assert not team.of(TransactionExpired)


async def test_the_permits_of_a_dead_worker_run_out(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        dead = RateAndConcurrencyLimiter(team.url, "dead", concurrency=2, lease_ms=60_000)
        dead.permits._extend_s = 0.01
        heir = RateAndConcurrencyLimiter(team.url, "heir", concurrency=2)
        entered = [dead.permits.permit("one"), dead.permits.permit("other")]
        for permit in entered:
            await permit.__aenter__()
        link = LogServer(team.log)

        async def end_leases(in_ms: int) -> None:
            for member in await link.call("ZRANGE", PERMITS, 0, -1):
                ends_ms = time.time_ns() // 1_000_000 + in_ms
                await link.call("ZADD", PERMITS, "XX", ends_ms, member)

        async def extended() -> bool:
            _, first_ms, *_ = await link.call("ZRANGE", PERMITS, 0, 0, "WITHSCORES")
            return bool(float(first_ms) > time.time() * 1000 + 45_000)

        await end_leases(40_000)
        await until(extended)
        waiting = asyncio.create_task(hold_once(heir))
        await holds(lambda: not waiting.done(), 0.05)  # as long as the other one lives
        keeper = dead.permits._keeper
        assert keeper is not None
        keeper.cancel()  # dead: its permit is neither extended nor returned
        await asyncio.gather(keeper, return_exceptions=True)

        async def taken_over() -> bool:
            await end_leases(-1)
            return waiting.done()

        await until(taken_over)
        for permit in entered:
            await permit.__aexit__(None, None, None)
        await dead.close()
        await heir.close()


async def hold_once(limits: RateAndConcurrencyLimiter, order_id: str = "order") -> None:
    async with limits.permits.permit(order_id):
        pass


async def test_a_cancelled_wait_for_a_permit_takes_no_permit(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        limits = RateAndConcurrencyLimiter(team.url, "one", concurrency=1)
        async with limits.permits.permit("order"):
            waiting = [asyncio.create_task(hold_once(limits, f"order {n}")) for n in range(20)]
            await until(lambda: len(limits.permits._waiting) == len(waiting))
            for task in waiting[::2]:
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), HANG_S)
        async with asyncio.timeout(HANG_S), limits.permits.permit("order"):
            pass
        await limits.close()
        assert await LogServer(team.log).call("ZCARD", PERMITS) == 0
