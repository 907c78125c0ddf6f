"""The runner: a bug costs one order, a killer itself, an outage nothing, and time is kept."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from events.log import EventLog, InboxMessage, OrderHead
from events.order import Order
from events.secret import SecretBytes
from events.types import (
    AttemptFailed,
    Fact,
    OrderExpired,
    OrderParked,
    OrderRequeued,
    OrderRouted,
    RoutingStarted,
    TransactionBuilt,
    TransactionSubmitted,
)
from stages.runtime.stage import Later, Stage, VenueRefusal
from tests.support.log.log_server import LogServer
from tests.support.log.workers import PATIENT, Crew, Gate, Worker, crew
from tests.support.processes.proxied import proxied
from tests.support.waits import MARGINS_S, pace, until, until_past

NEVER_MS = 3_600_000
LEASE_MS = 60_000
"""Longer than any stall: only a test lets such a lease run out."""


def now_us() -> int:
    return time.time_ns() // 1000


def asking(stage: Stage, wrap: Callable[[Sequence[Order], Any], Any]) -> Stage:
    """The stage, with `wrap(orders, answers)` in the place of its answers."""
    ask = stage.ask
    return dataclasses.replace(stage, ask=lambda orders: wrap(orders, ask(orders)))


def gated(stage: Stage, gate: Gate) -> Stage:
    """The stage, held up between its question and its answer."""

    async def answer(asked: Any) -> Any:
        await gate.passing()
        return asked

    return asking(stage, lambda _, answers: [Later(answer(asked)) for asked in answers])


async def holding(worker: Worker, orders: int) -> None:
    await until(lambda: worker.held_orders == orders)


# -- bugs and poison -------------------------------------------------------------------------------


async def test_an_order_that_meets_a_bug_is_parked_with_its_reason_and_others_continue(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        builder = team.stage("builder")

        def decide(order: Order, answer: Any) -> Any:
            if order.token_out == "RAY":
                raise ValueError("a bug")
            return builder.decide(order, answer)

        await team.worker("router")
        buggy = await team.worker(dataclasses.replace(builder, decide=decide))
        await team.worker("submitter")
        await team.worker("confirmer")
        good, bad, more = [(await team.submit(5, to=token)) for token in ("USDC", "RAY", "JUP")]
        assert await team.ended([*good, *more]) == ["confirmed"] * 10
        await team.until(lambda: len(team.of(OrderParked)) == 5)
        assert {event.order_id for event in team.of(OrderParked)} == set(bad)
        for order_id in bad:
            fact = team.facts(order_id)[-1]
            assert fact == OrderParked("builder", "ValueError: a bug", "engine")
        assert {order_id for order_id, _ in await team.log.parked()} == set(bad)
        await team.settled("builder")
        assert (await team.log.lag())["builder"].orders == 0
        # A parked order has no next stage until it is replayed.
        await buggy.stop()
        await team.worker("builder")
        await team.append(bad[0], OrderRequeued("fixed", "me"))
        assert await team.ended(bad[:1]) == ["confirmed"]
        assert team.executions() == dict.fromkeys([*good, *more, bad[0]], 1)


async def test_a_confirmer_without_an_answer_asks_again_and_appends_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    """A worker that was suspended for longer than its deadline sees that when it resumes."""
    refused = VenueRefusal("chain-busy", "", retryable=True)
    faults: list[Exception] = [TimeoutError(), OSError("no route"), refused]
    async with crew(redis_url, tmp_path) as team:
        confirmer = team.stage("confirmer")

        async def late() -> Any:
            raise faults.pop()

        def ask(orders: Sequence[Order]) -> Any:
            return [Later(late()) for _ in orders] if faults else confirmer.ask(orders)

        for name in ("router", "builder", "submitter"):
            await team.worker(name)
        await team.worker(dataclasses.replace(confirmer, ask=ask))
        [order_id] = await team.submit(1)
        assert await team.ended([order_id]) == ["confirmed"]
        assert not faults
        assert team.of(OrderParked) == []


async def test_an_order_with_an_unreadable_head_is_parked_and_others_continue(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        ids = await team.submit(5)
        bad = ids[2]
        key, link = team.log.keys.order(bad), LogServer(team.log)
        data = await link.call("GET", key)
        await link.call("SET", key, data[:37] + b"\xc1 no order" + data[-8:])
        await team.all_stages()
        good = [order_id for order_id in ids if order_id != bad]
        assert await team.ended(good) == ["confirmed"] * 4
        await team.until(lambda: team.of(OrderParked))
        [parked] = team.of(OrderParked)
        assert parked.order_id == bad
        assert isinstance(parked.fact, OrderParked)
        assert parked.fact.reason.startswith("unreadable head: ")
        assert (parked.version, parked.status) == (2, "pending")
        await team.settled("router")


async def test_only_the_order_that_kills_its_worker_is_parked(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten orders share an inbox entry, one of them ends every process that looks at it."""
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 10)
    async with crew(redis_url, tmp_path) as team:
        ids = await team.submit(10)
        killer = ids[4]
        died = asyncio.Event()

        def look(orders: Sequence[Order], answers: Any) -> Any:
            if killer in [order.id for order in orders]:
                died.set()
                return [Later(asyncio.get_running_loop().create_future()) for _ in orders]
            return answers

        stage = asking(team.stage("router"), look)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        deaths = 0
        while not team.of(OrderParked):
            died.clear()
            worker = await team.worker(stage, lease_ms=20)
            await until(lambda: died.is_set() or team.of(OrderParked))
            if died.is_set():
                deaths += 1
                await worker.die()
        others = [order_id for order_id in ids if order_id != killer]
        assert await team.ended(others) == ["confirmed"] * 9
        assert [event.order_id for event in team.of(OrderParked)] == [killer]
        assert 5 <= deaths <= 12
        assert team.executions() == dict.fromkeys(others, 1)


async def test_a_delivery_that_ended_in_an_exception_is_delivered_again(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        faults = iter([True])

        def begin(order: Order) -> Fact | None:
            if next(faults, False):
                raise ZeroDivisionError
            return router.begin(order)

        router = team.stage("router")
        # Under a limit the start is looked at before an answer can be blamed for the error.
        stage = dataclasses.replace(router, begin=begin)
        await team.worker(stage, lease_ms=50, orders_per_minute=1000)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = await team.submit(3)
        assert await team.ended(ids) == ["confirmed"] * 3


# -- stops and outages -----------------------------------------------------------------------------


async def test_a_stopped_worker_returns_its_orders_and_no_attempt_is_counted(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        ids = await team.submit(6)
        for _ in range(6):  # more often than a killer is given
            worker = await team.worker(gated(team.stage("router"), gate), lease_ms=NEVER_MS)
            await holding(worker, 6)
            worker.patience(0.05)
            await worker.stop()
        gate.open.set()
        # No lease ran out: what is done now was returned.
        for name in ("router", "builder", "submitter", "confirmer"):
            await team.worker(name, lease_ms=NEVER_MS)
        assert await team.ended(ids) == ["confirmed"] * 6
        assert not team.of(AttemptFailed)
        assert not team.of(OrderParked)
        assert len(team.of(RoutingStarted)) == 6


async def test_a_stopping_worker_completes_its_quick_deliveries(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        ids = await team.submit(6)
        worker = await team.worker(gated(team.stage("router"), gate))
        await holding(worker, 6)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        gate.open.set()
        await stopping
        await team.until(lambda: len(team.of(OrderRouted)) == 6)
        assert {event.order_id for event in team.of(OrderRouted)} == set(ids)


async def test_entries_delivered_in_a_lost_answer_are_delivered_again(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team, proxied(redis_url) as proxy:
        # The inbox alone goes through the proxy. No worker can take over: the leases never end.
        far = EventLog(proxy.url, build="far")
        await far.open()
        log = EventLog(team.url, build="worker")
        await log.open()
        log.inbox = far.inbox  # type: ignore[method-assign]  # a worker with two connections
        await team.worker("router", log=log, lease_ms=NEVER_MS)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        assert await team.ended(await team.submit(1)) == ["confirmed"]
        proxy.mode = "drop-answers"
        ids = await team.submit(3)
        link, key = LogServer(team.log), team.log.keys.inbox("router")

        async def delivered() -> int:
            return int((await link.call("XPENDING", key, "workers"))[0])

        await until(delivered)
        proxy.cut("pass")
        assert await team.ended(ids) == ["confirmed"] * 3
        await team.close()
        await log.close()
        await far.close()


async def test_an_outage_of_the_log_costs_no_attempt(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team, proxied(redis_url) as proxy:
        await team.all_stages(url=proxy.url)
        ids = await team.submit(20)
        for mode in ("refuse", "pass", "drop-answers", "pass", "hang", "pass"):
            proxy.cut(mode)
            await pace(0.15)
            ids += await team.submit(5)
        assert await team.ended(ids) == ["confirmed"] * len(ids)
        assert not team.of(AttemptFailed)
        assert team.executions() == dict.fromkeys(ids, 1)
        await team.close()


async def test_a_worker_that_meets_a_conflict_loads_the_order_again(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        await team.worker(gated(team.stage("router"), gate), lease_ms=NEVER_MS)
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        [order_id] = await team.submit()
        await gate.reached.wait()
        await team.until(lambda: team.of(RoutingStarted))
        await team.append(order_id, OrderRequeued("for the sake of it", "me"), wake=False)
        gate.open.set()
        assert await team.ended([order_id]) == ["confirmed"]
        assert team.names(order_id) == [
            "OrderSubmitted", "RoutingStarted", "OrderRequeued", "OrderRouted", "TransactionBuilt",
            "TransactionSubmitted", "OrderConfirmed",
        ]  # fmt: skip


# -- leases ----------------------------------------------------------------------------------------


async def test_only_the_owner_of_an_entry_renews_it(redis_url: str, tmp_path: Path) -> None:
    """A renewal by one that lost its entry must not take it back."""
    async with crew(redis_url, tmp_path) as team:
        ids = await team.submit(3)
        old = team.log.inbox("router", "old", lease_ms=30)
        new = team.log.inbox("router", "new", lease_ms=30)
        await old.open()
        [message] = await old.take(1, block_ms=1000)
        assert message.order_ids == tuple(ids)
        assert await old.renew() == []
        handed: list[InboxMessage] = []

        async def taken_over() -> bool:
            handed.extend(await new.take(1, block_ms=10))
            return bool(handed)

        await until(taken_over)
        [taken] = handed
        assert (taken.id, taken.deliveries) == (message.id, 1)
        assert await old.renew() == [message.id]
        assert await old.renew() == []
        assert await new.renew() == []
        await old.deregister()
        assert await new.renew() == []  # nor does one that leaves put back what is not its own
        for inbox in (old, new):
            await inbox.close()


async def test_slow_work_that_is_renewed_is_not_taken_over(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        worker = await team.worker(gated(team.stage("router"), gate), lease_ms=40)
        worker._inbox._lease_ms = LEASE_MS  # it renews often, and does not reclaim its own
        ids = await team.submit(3)
        await holding(worker, 3)
        link, key = LogServer(team.log), team.log.keys.inbox("router")

        async def idle_ms() -> int:
            [[_, _, idle_ms, _]] = await link.call("XPENDING", key, "workers", "-", "+", 9)
            return int(idle_ms)

        [[entry, *_]] = await link.call("XPENDING", key, "workers", "-", "+", 9)
        aged = ("IDLE", 10 * LEASE_MS, "JUSTID")
        await link.call("XCLAIM", key, "workers", worker.consumer, 0, entry, *aged)

        async def renewed() -> bool:
            return await idle_ms() < LEASE_MS

        await until(renewed)
        stage = gated(team.stage("router"), Gate())
        other = await team.worker(stage, lease_ms=LEASE_MS)
        await until(lambda: other._inbox._reader.connects)  # its first claim is over
        assert (other.held_orders, worker.held_orders) == (0, 3)
        gate.open.set()
        await team.until(lambda: len(team.of(OrderRouted)) == len(ids))


# -- time ------------------------------------------------------------------------------------------


async def test_an_order_that_waits_too_long_expires_and_is_never_sent(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        await team.all_stages(orders_per_minute=1)
        first = await team.submit()
        assert await team.ended(first) == ["confirmed"]
        waiting = await team.submit(3, expires_at_us=now_us() + 200_000)
        assert await team.ended(waiting) == ["expired"] * 3
        for order_id in waiting:
            assert team.names(order_id) == ["OrderSubmitted", "OrderExpired"]
        for event in team.of(OrderExpired):
            assert event.fact == OrderExpired("router", "expires-at-passed", 0)
            assert event.time_us >= event_expiry(team, event.order_id)
        assert set(team.executions()) == set(first)


def event_expiry(team: Crew, order_id: str) -> int:
    expires = next(e for _, e in team.seen if e.order_id == order_id).fact
    result = getattr(expires, "expires_at_us", None)
    assert result is not None
    return int(result)


async def test_an_order_between_two_attempts_expires_on_time(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        backoff_ms = (NEVER_MS, NEVER_MS)  # the next attempt would never come
        await team.worker(asking(team.stage("router"), refusing), backoff_ms=backoff_ms)
        for margin_s in MARGINS_S:
            expires_at_us = now_us() + int(margin_s * 1e6)
            [order_id] = await team.submit(expires_at_us=expires_at_us)
            assert await team.ended([order_id]) == ["expired"]
            if "AttemptFailed" in team.names(order_id):
                break
        assert team.names(order_id)[-2:] == ["AttemptFailed", "OrderExpired"]
        assert team.of(OrderExpired)[-1].time_us >= expires_at_us


def refusing(orders: Sequence[Order], _: Any) -> Any:
    return [ConnectionRefusedError("no venue") for _ in orders]


async def overdue(team: Crew, reached: Callable[[str], bool]) -> str:
    """An order that came so far before its expiry, which has passed now."""

    async def submitted(margin_s: float) -> str:
        expires_at_us = now_us() + int(margin_s * 1e6)
        [order_id] = await team.submit(expires_at_us=expires_at_us)
        await until(lambda: reached(order_id) or "OrderExpired" in team.names(order_id))
        await until_past(expires_at_us)
        return "" if "OrderExpired" in team.names(order_id) else order_id

    for margin_s in MARGINS_S:
        if order_id := await submitted(margin_s):
            return order_id
    raise AssertionError(f"it did not come so far within {MARGINS_S[-1]} s")


async def test_an_order_that_expires_before_it_is_sent_is_refused_by_the_append_itself(
    redis_url: str, tmp_path: Path
) -> None:
    """The submitter had looked at the clock before; what decides is the clock of the log."""
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        await team.worker("router")
        await team.worker("builder")
        await team.worker(gated(team.stage("submitter"), gate), lease_ms=NEVER_MS)
        await team.worker("confirmer")
        order_id = await overdue(team, lambda _: gate.reached.is_set())
        gate.open.set()
        assert await team.ended([order_id]) == ["expired"]
        assert not team.of(TransactionSubmitted)
        assert "TransactionBuilt" in team.names(order_id)
        assert team.executions() == {}


async def test_a_sent_order_does_not_expire(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        for name in ("router", "builder", "submitter"):
            await team.worker(name)
        order_id = await overdue(team, lambda each: "TransactionSubmitted" in team.names(each))
        link, key = LogServer(team.log), team.log.keys.expiry
        due_ms = float(await link.call("ZSCORE", key, order_id))

        async def looked_at() -> bool:
            return float(await link.call("ZSCORE", key, order_id)) > due_ms

        await team.watching()  # ends what expires, wherever it waits
        await until(looked_at)
        assert team.statuses()[order_id] == "submitted"
        await team.worker("confirmer")
        assert await team.ended([order_id]) == ["confirmed"]
        assert team.executions() == {order_id: 1}


async def test_a_venue_that_fails_now_and_then_costs_attempts_and_the_backoff_is_kept(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path, PATIENT) as team:
        await team.all_stages()
        ids = await team.submit(5, to="FLAKY")
        assert await team.ended(ids) == ["confirmed"] * 5
        assert len(team.of(RoutingStarted)) == 5  # a retry does not start again
        for order_id in ids:
            events = [event for _, event in team.seen if event.order_id == order_id]
            failed = [e for e in events if isinstance(e.fact, AttemptFailed)]
            assert [e.fact.attempt for e in failed if isinstance(e.fact, AttemptFailed)] == [1, 2]
            for event in failed:
                assert isinstance(event.fact, AttemptFailed)
                following = events[event.version]
                assert following.time_us >= event.fact.next_attempt_at_us
        heads: list[OrderHead] = [await team.head(order_id) for order_id in ids]
        assert [head.order.attempts for head in heads] == [2] * 5


async def test_a_clock_that_was_ahead_makes_no_order_wait_for_it(
    redis_url: str, tmp_path: Path
) -> None:
    """The process that wrote the attempt took now for an hour later."""
    async with crew(redis_url, tmp_path, PATIENT) as team:
        [order_id] = await team.submit()
        later_us = now_us() + 3_600_000_000
        failed = AttemptFailed("router", 1, "venue-timeout", "slow", later_us)
        await team.append(order_id, RoutingStarted(), failed)
        await team.all_stages()
        assert await team.ended([order_id]) == ["confirmed"]


async def test_a_number_that_the_log_cannot_hold_parks_its_own_order_and_no_other(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        sane = team.stage("builder")
        ids = await team.submit(5)
        bad = ids[2]

        def decide(order: Order, answer: Any) -> Sequence[Fact]:
            if order.id == bad:
                return [TransactionBuilt(1, "signature", 2**64, SecretBytes(b""))]
            decided = sane.decide(order, answer)
            assert isinstance(decided, Sequence)
            return decided

        for name in ("router", "submitter", "confirmer", dataclasses.replace(sane, decide=decide)):
            await team.worker(name)
        good = [order_id for order_id in ids if order_id != bad]
        assert await team.ended(good) == ["confirmed"] * 4
        await team.until(lambda: team.of(OrderParked))
        assert [event.order_id for event in team.of(OrderParked)] == [bad]
