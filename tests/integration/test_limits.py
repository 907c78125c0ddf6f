"""Limits hold over all workers; excess waits and is not rejected; who only waits holds nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from events.log import PERMITS
from events.order import Order, Transaction
from events.secret import SecretBytes
from events.types import (
    AttemptFailed,
    OrderConfirmed,
    RoutingStarted,
    TransactionExpired,
    TransactionInDoubt,
    TransactionSubmitted,
)
from stages.runtime.limiter import STARTS, RateAndConcurrencyLimiter
from stages.venues import Outcome, Venue
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.simulated.venue import SimulatedVenue, Simulation
from tests.support.log.log_server import LogServer
from tests.support.log.workers import PATIENT, Crew, crew
from tests.support.waits import HANG_S, holds, pace, until

WINDOW_MS = 400


def most_in_a_window(times_us: Sequence[int], window_ms: int) -> int:
    """The most events that any sliding window holds."""
    times = sorted(times_us)
    return max(
        sum(start <= time < start + window_ms * 1000 for time in times[first:])
        for first, start in enumerate(times)
    )


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


async def test_the_window_counts_from_the_start_of_an_order_and_not_from_its_admission(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = RateAndConcurrencyLimiter.admit

    async def admit_early(
        limiter: RateAndConcurrencyLimiter, order_ids: Sequence[str]
    ) -> dict[str, int]:
        waits = await admit(limiter, order_ids)
        await pace(0.05)  # between the admission and the start
        return waits

    monkeypatch.setattr(RateAndConcurrencyLimiter, "admit", admit_early)
    async with crew(redis_url, tmp_path) as team, redis.asyncio.from_url(redis_url) as client:
        await team.worker("router", orders_per_minute=8, window_ms=3_600_000)
        [order_id] = await team.submit()
        await team.until(lambda: team.of(RoutingStarted))
        [started] = team.of(RoutingStarted)

        async def counted_from_the_start() -> bool:
            score_ms = await client.zscore(STARTS, order_id)
            return score_ms is not None and int(score_ms) >= started.time_us // 1000

        await until(counted_from_the_start)


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


class CountedVenue(SimulatedVenue):
    def __init__(self, inner: Venue, counted: Counted, simulation: Simulation) -> None:
        super().__init__(inner.name, 20, simulation)
        self._counted = counted

    async def _later(self, order: Order):  # type: ignore[no-untyped-def]  # as its base
        await self._counted.during([order.id], 0.01)
        return self._quote(order)

    def quote(self, order: Order):  # type: ignore[no-untyped-def]  # as its base
        return self._later(order)


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


class Minute(int):
    """A lease in ms of which the product takes a hundredth of a second to be a quarter."""

    def __truediv__(self, _: float) -> float:
        return 0.01


class Keen(RateAndConcurrencyLimiter):
    """Its leases last a minute, and are extended a hundred times a second."""

    async def _call(self, function: str, *arguments: str | int) -> int:
        plain = (int(argument) if isinstance(argument, int) else argument for argument in arguments)
        return await super()._call(function, *plain)


async def test_the_permits_of_a_dead_worker_run_out(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        dead = Keen(team.url, "dead", concurrency=2, lease_ms=Minute(60_000))
        heir = RateAndConcurrencyLimiter(team.url, "heir", concurrency=2)
        entered = [dead.permit(), dead.permit()]
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
        keeper = dead._keeper
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


async def hold_once(limits: RateAndConcurrencyLimiter) -> None:
    async with limits.permit():
        pass


async def test_a_cancelled_wait_for_a_permit_takes_no_permit(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        limits = RateAndConcurrencyLimiter(team.url, "one", concurrency=1)
        async with limits.permit():
            waiting = [asyncio.create_task(hold_once(limits)) for _ in range(20)]
            await until(lambda: len(limits._waiting) == len(waiting))
            for task in waiting[::2]:
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), HANG_S)
        async with asyncio.timeout(HANG_S), limits.permit():
            pass
        await limits.close()
        assert await LogServer(team.log).call("ZCARD", PERMITS) == 0
