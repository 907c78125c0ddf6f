"""A trigger, a cancel, an expiry, an amend, a halt and a send race: the log decides, once.

Each pair meets in every order, with one of the two held up between what it read and what it says,
or dead there, or dead right after. The judge is the venue's own ledger.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.recovery.replay_checks import CHECKS
from events.audit.invariants import Auditor
from events.commands import engine_switch, orders
from events.ids import new_order_id
from events.log import AppendRequest, AppendResult, EventLog
from events.money import amount_at, price_units
from events.order import Order, evolve, may_still_land
from events.types import (
    TERMINAL,
    EngineHalted,
    EngineResumed,
    Fact,
    OrderArmed,
    OrderRearmed,
    OrderSubmitted,
    OrderTriggered,
    RoutingStarted,
    Status,
    StreamStatus,
    TransactionSubmitted,
)
from stages import builder, router, submitter
from stages.runtime.retry import after_expiry
from stages.triggers import watcher
from stages.venues import Pair, Tick
from stages.venues.simulated.ledger import Ledger
from stages.venues.simulated.venue import Simulation
from tests.support.log.workers import Crew, Watcher, Worker, crew
from tests.support.processes.engine_up import dice
from tests.support.waits import pace

MOVING = Simulation(seed=5, slot_ms=5, volatility_bps=100, blockhash_slots=4000)
LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="140", time_in_force="GTT"
)
PAID = Tick("raydium", "p", 2**40, "150")
NEVER_US = 2**52


class HeldUp(EventLog):
    """Its first append waits for a sign; one that died there, or right after, never returns."""

    def __init__(self, url: str, fate: str) -> None:
        super().__init__(url, build="held-up")
        self.fate = fate
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.written = asyncio.Event()

    def append(
        self, requests: Sequence[AppendRequest], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[AppendResult]]:
        del timeout_s
        return asyncio.ensure_future(self._append(requests))

    async def _append(self, requests: Sequence[AppendRequest]) -> list[AppendResult]:
        self.reached.set()
        await self.go.wait()
        answers = [] if self.fate == "dies-before" else await super().append(requests)
        self.written.set()
        if self.fate != "late":
            await asyncio.Event().wait()
        return answers


# -- the acts ------------------------------------------------------------------------------------


async def _append_facts(
    log: EventLog, order_id: str, decide: Callable[[Order], Sequence[Fact]]
) -> bool:
    """What a stage or a watcher does: load, decide, append; again, if another writer was first."""
    for _ in range(20):
        [head] = await log.load([order_id])
        assert head is not None
        facts = decide(head.order)
        if not facts:
            return False
        [answer] = await log.append([log.build_append_of(head, head.order, facts)[0]])
        if answer.status.value in ("created", "exists"):
            return True
        if answer.status.value != "conflict":
            return False
    raise AssertionError("the order keeps changing")


def paid(order: Order) -> Sequence[Fact]:
    return watcher.triggers(order, PAID, order.watch_slot)


async def trigger(team: Crew, log: EventLog, order_id: str) -> None:
    await _append_facts(log, order_id, paid)


async def expire(team: Crew, log: EventLog, order_id: str) -> None:
    def decide(order: Order) -> Sequence[Fact]:
        ended = order.terminal or may_still_land(order)
        return [] if ended else [after_expiry(order, "watcher")]

    await _append_facts(log, order_id, decide)


async def send(team: Crew, log: EventLog, order_id: str) -> None:
    def decide(order: Order) -> Sequence[Fact]:
        built = order.status is Status.BUILDING and order.transaction is not None
        return submitter.decide(order, None) if built else []

    if await _append_facts(log, order_id, decide):
        [head] = await log.load([order_id])
        assert head is not None
        if head.order.transaction is not None:
            await team.chain().send([head.order.transaction.raw])


async def cancel(team: Crew, log: EventLog, order_id: str) -> None:
    await orders.cancel(log, order_id, "ann")


async def amend(team: Crew, log: EventLog, order_id: str) -> None:
    version = (await team.head(order_id)).version
    await orders.amend(log, order_id, version, "141", None, "ann")


async def halt(team: Crew, log: EventLog, order_id: str) -> None:
    await engine_switch.halt(log, order_id, "ann")


Act = Callable[[Crew, EventLog, str], Coroutine[Any, Any, None]]
ACTS: list[Act] = [trigger, expire, send, cancel, amend, halt]
FATES = ("late", "dies-before", "dies-after")


# -- the judge -----------------------------------------------------------------------------------


def judge(team: Crew, ids: Sequence[str]) -> None:
    """Asserts what holds whichever writer won."""
    done = team.executions()
    histories: dict[str, list[tuple[StreamStatus, Fact]]] = {order_id: [] for order_id in ids}
    halted = False
    for _, event in team.seen:
        if isinstance(event.fact, EngineHalted | EngineResumed):
            halted = isinstance(event.fact, EngineHalted)
        crossing = isinstance(event.fact, TransactionSubmitted | OrderTriggered)
        assert not (halted and crossing), f"{event.name} while halted"
        if event.order_id in histories:
            histories[event.order_id].append((event.status, event.fact))
    for order_id, history in histories.items():
        ends = [type(f).__name__ for status, f in history if status in TERMINAL]
        assert len(ends) == 1, (order_id, ends)
        sent = False
        for _, fact in history:
            # A transaction that failed on chain cannot land any more: its order waits again.
            sent = isinstance(fact, TransactionSubmitted) or (
                sent and not isinstance(fact, OrderRearmed)
            )
        if ends[0] in ("OrderCancelled", "OrderExpired"):
            assert not sent
            assert not done.get(order_id)
        assert done.get(order_id, 0) == (ends[0] == "OrderConfirmed"), (order_id, ends)
    never_worse(team)
    sound(team)


def sound(team: Crew) -> None:
    """The history is legal, and each decision comes out the same from what it recorded."""
    auditor = Auditor()
    orders: dict[str, Order] = {}
    for stored, event in team.seen:
        auditor.event(stored)
        before = orders.get(event.order_id)
        check = CHECKS.get(type(event.fact))
        if check is not None and before is not None:
            decided = check(before, event.fact)
            assert decided is None or event.fact in decided, (event.fact, decided)
        orders[event.order_id] = evolve(before, event)
    assert not auditor.problems


def never_worse(team: Crew) -> None:
    """By the ledger: no swap of a limit order paid less than it asked for."""
    targets = {
        event.order_id: event.fact.target_price
        for _, event in team.seen
        if hasattr(event.fact, "target_price") and event.fact.target_price
    }  # the last price of each order
    ledger = Ledger(team.ledger_path)
    for row in ledger.rows():
        if row.ok and row.order_id in targets:
            least = amount_at(row.amount_in, 9, price_units(targets[row.order_id]), 6)
            assert row.amount_out >= least, row
    ledger.close()


async def brought_to(team: Crew, built: bool) -> str:
    """A resting order, or one whose transaction is built."""
    order_id = await team.place(replace(LIMIT, expires_at_us=NEVER_US))
    await team.append(order_id, OrderArmed(1))
    if built:
        await team.append(order_id, *paid((await team.head(order_id)).order))
        await team.append(order_id, RoutingStarted())
        order = (await team.head(order_id)).order
        quotes = [quote for venue in team.venues() for quote in venue.quotes(order)]  # type: ignore[union-attr]  # at once
        await team.append(order_id, *router.decide(order, quotes))
        order = (await team.head(order_id)).order
        await team.append(order_id, *builder.decide(order, team.chain().build(order)))
    return order_id


async def race(team: Crew, first: Act, second: Act, fate: str, *, built: bool) -> str:
    """`first` is held after its reads; `second` runs from start to end; `first` resumes."""
    order_id = await brought_to(team, built)
    held = HeldUp(team.url, fate)
    await held.open()
    slow = asyncio.create_task(first(team, held, order_id))
    reaching = asyncio.create_task(held.reached.wait())
    await asyncio.wait([slow, reaching], return_when=asyncio.FIRST_COMPLETED)
    await second(team, team.log, order_id)
    held.go.set()
    written = asyncio.create_task(held.written.wait())
    await asyncio.wait([slow, written], return_when=asyncio.FIRST_COMPLETED)
    if fate == "late":
        await slow
    for task in (slow, reaching, written):
        task.cancel()
    await asyncio.gather(slow, reaching, written, return_exceptions=True)
    await held.close()
    return order_id


@pytest.mark.parametrize("fate", FATES)
async def test_of_any_two_racing_commands_one_wins_and_no_order_is_stuck(
    redis_url: str, tmp_path: Path, fate: str
) -> None:
    async with crew(redis_url, tmp_path, MOVING) as team:
        ids = []
        for built, first, second in product((False, True), ACTS, ACTS):
            ids.append(await race(team, first, second, fate, built=built))
            await engine_switch.resume(team.log, "ann")
        await team.engine()  # orders under way continue from where they are
        await team.until(lambda: settled_or_waiting(team, ids))
        for order_id in ids:
            await orders.cancel(team.log, order_id, "ann")
        statuses = await team.ended(ids)
        judge(team, ids)
        assert {"confirmed", "cancelled", "expired"} <= set(statuses)


def settled_or_waiting(team: Crew, ids: Sequence[str]) -> bool:
    statuses = team.statuses()
    return all(statuses[i] in TERMINAL or statuses[i] == "watching" for i in ids)


# -- all of it at once -----------------------------------------------------------------------------

ORDERS = 300
LIVE_S = 3.0


async def test_random_commands_and_kills_leave_no_order_stuck_or_doubled(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 50)
    chance = dice()
    async with crew(redis_url, tmp_path, MOVING) as team:
        workers: list[Worker | Watcher] = [*await team.all_stages(), await team.watching()]
        until = time.monotonic() + LIVE_S
        ids: list[str] = []

        async def submit() -> None:
            for _ in range(ORDERS):
                expires = time.time_ns() // 1000 + chance.randrange(50_000, 2_500_000)
                target = f"{chance.uniform(148.0, 151.0):.6f}"
                ids.append(
                    await team.place(replace(LIMIT, target_price=target, expires_at_us=expires))
                )
                await pace(LIVE_S / ORDERS / 2 * chance.random())

        async def act() -> None:
            while time.monotonic() < until:
                await pace(chance.random() * 0.02)
                if not ids:
                    continue
                order_id = chance.choice(ids)
                if chance.random() < 0.5:
                    await orders.cancel(team.log, order_id, "ann")
                else:
                    [head] = await team.log.load([order_id])
                    assert head is not None
                    target = f"{chance.uniform(148.0, 151.0):.6f}"
                    await orders.amend(team.log, order_id, head.version, target, None, "ann")

        async def switch() -> None:
            while time.monotonic() < until:
                await pace(chance.random() * 0.3)
                await engine_switch.halt(team.log, "odd", "ann")
                await pace(chance.random() * 0.1)
                await engine_switch.resume(team.log, "ann")

        async def kill() -> None:
            while time.monotonic() < until:
                await pace(chance.random() * 0.2)
                at = chance.randrange(len(workers))
                workers[at] = await killed(team, workers[at])

        await asyncio.gather(submit(), act(), act(), switch(), kill())
        await engine_switch.resume(team.log, "ann")
        statuses = await team.ended(ids)  # all expire at the latest
        judge(team, ids)
        assert {"confirmed", "cancelled", "expired"} <= set(statuses)
        assert await team.log.open_orders() == await team.log.resting() == 0


async def killed(team: Crew, worker: Worker | Watcher) -> Worker | Watcher:
    """Dies, and another one takes its place."""
    await worker.die()
    if isinstance(worker, Watcher):
        return await team.watching()
    return await team.worker(worker.stage.name)


# -- many of them ----------------------------------------------------------------------------------

MANY = 10_000


async def test_a_random_walk_through_many_resting_orders_triggers_each_once_while_watchers_die(
    redis_url: str, tmp_path: Path
) -> None:
    chance: random.Random = dice()
    async with crew(redis_url, tmp_path, MOVING) as team:
        await team.worker("watcher")
        watchers = [await team.watching(lease_ms=100) for _ in range(2)]
        pairs = [
            ("SOL", "USDC", 9, 6, 150.0),
            ("SOL", "USDT", 9, 6, 150.0),
            ("JUP", "RAY", 6, 6, 0.3636),
        ]
        units, ids = [], []
        for _ in range(MANY):
            token_in, token_out, decimals_in, decimals_out, around = chance.choice(pairs)
            target = f"{around * chance.uniform(0.99, 1.01):.8f}"
            fact = OrderSubmitted(
                "limit", token_in, token_out, decimals_in, decimals_out, 10**9, 50,
                target_price=target, time_in_force="GTC",
            )  # fmt: skip
            order_id = new_order_id()
            ids.append(order_id)
            units.append(team.log.build_creation(order_id, "main", fact)[0])
        await asyncio.gather(*(team.log.append(units[at : at + 200]) for at in range(0, MANY, 200)))
        await team.until(lambda: len(team.of(OrderArmed)) == MANY)
        for _ in range(8):
            await pace(chance.random() * 0.25)
            at = chance.randrange(2)
            await watchers[at].die()
            watchers[at] = await team.watching(lease_ms=100)
        ended = team.venues()[0].slot()
        expected = paid_until(team, ended)
        await team.until(lambda: triggered(team).keys() >= expected)
        assert len(expected) > 0.1 * MANY
        assert all(count == 1 for count in triggered(team).values())
        rests = rested_at(team)
        for event in team.of(OrderTriggered):
            assert isinstance(event.fact, OrderTriggered)
            assert rests[event.order_id] <= event.fact.slot


def triggered(team: Crew) -> dict[str, int]:
    results: dict[str, int] = {}
    for event in team.of(OrderTriggered):
        results[event.order_id] = results.get(event.order_id, 0) + 1
    return results


def rested_at(team: Crew) -> dict[str, int]:
    """The first slot that counts for each order."""
    return {e.order_id: e.fact.slot for e in team.of(OrderArmed) if isinstance(e.fact, OrderArmed)}


def paid_until(team: Crew, last: int) -> set[str]:
    """The orders whose target was paid at a slot since they rested, by the path itself."""
    rests = rested_at(team)
    first = min(rests.values())
    best: dict[str, list[int]] = {}
    result = set()
    for event in team.of(OrderSubmitted):
        fact = event.fact
        assert isinstance(fact, OrderSubmitted)
        pair = Pair(fact.token_in, fact.token_out, fact.decimals_in, fact.decimals_out)
        if pair.key not in best:
            prices = [price_units(t.price) for t in team.venues()[0].ticks(pair, first, last)]
            best[pair.key] = list(accumulate(reversed(prices), max))[::-1]
        slot = rests[event.order_id]
        if slot <= last and best[pair.key][slot - first] >= price_units(fact.target_price):
            result.add(event.order_id)
    return result
