"""A worker of any stage dies at each point between its take and its append: its successor
processes every order, and none is executed twice.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from events.commands import orders
from events.ids import new_order_id
from events.log import AppendStatus, EventLog, ack_only
from events.order import STAGES, Order
from events.types import OrderSubmitted
from stages.runtime.stage import Later, Stage
from tests.support.log.log_server import LogServer
from tests.support.log.workers import ACCOUNT, Crew, Worker, crew
from tests.support.processes.mortal import Point, Trap
from tests.support.waits import until

LEASE_MS = 50
ORDERS = 5
"""Some in one inbox entry, others in entries of their own."""
POINTS = [
    Point("take", "after"),
    Point("load", "before"),
    Point("load", "after"),
    Point("append", "before"),
    Point("append", "after"),
]
BEHIND = [Point("send", "before"), Point("send", "after")]
"""What follows the append of the submitter."""


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 20)


async def mortal(team: Crew, stage: Stage | str, trap: Trap) -> Worker:
    """A worker that is held at the point of the trap, which is set."""
    log = EventLog(team.url, build="mortal")
    await log.open()
    team._closing.append(log)
    trap.at(log, "load", asks=bool)
    trap.at(log, "append", asks=lambda units: any(unit.events for unit in units))
    worker = await team.worker(stage, log=log, lease_ms=LEASE_MS)
    trap.at(worker._inbox, "take", tells=bool)
    trap.set()
    return worker


async def placed(team: Crew) -> list[str]:
    """Orders that come in one entry and in entries of their own."""
    fact = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)
    ids = [new_order_id() for _ in range(ORDERS)]
    requests = [team.log.build_creation(order_id, ACCOUNT, fact)[0] for order_id in ids]
    assert {a.status for a in await team.log.append(requests[:3])} == {AppendStatus.CREATED}
    for request in requests[3:]:
        assert (await team.log.append([request]))[0].status is AppendStatus.CREATED
    return ids


async def lived_once(team: Crew, ids: Sequence[str], stage: str) -> None:
    """All orders end as without a death, by a successor of the dead worker."""
    await team.worker(stage, lease_ms=LEASE_MS)
    assert await team.ended(ids) == ["confirmed"] * len(ids)
    assert team.executions() == dict.fromkeys(ids, 1)
    for order_id in ids:
        assert Counter(team.names(order_id)) == dict.fromkeys(
            [
                "OrderSubmitted", "RoutingStarted", "OrderRouted", "TransactionBuilt",
                "TransactionSubmitted", "OrderConfirmed",
            ],
            1,
        )  # fmt: skip
    for name in STAGES:
        await team.settled(name)


@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("stage", ["router", "builder", "submitter", "confirmer"])
async def test_the_successor_of_a_dead_worker_loses_and_doubles_no_order(
    redis_url: str, tmp_path: Path, stage: str, point: Point
) -> None:
    async with crew(redis_url, tmp_path) as team:
        ids = await placed(team)
        trap = Trap(point)
        dying = await mortal(team, stage, trap)
        for name in STAGES:
            if name not in (stage, "watcher"):
                await team.worker(name, lease_ms=LEASE_MS)
        await trap.sprung()
        await dying.die()
        await lived_once(team, ids, stage)


@pytest.mark.parametrize("point", BEHIND, ids=str)
async def test_a_submitted_transaction_is_sent_once_wherever_workers_die(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    async with crew(redis_url, tmp_path) as team:
        ids = await placed(team)
        chain, trap = team.chain(), Trap(point)
        trap.at(chain, "send")
        dying = await mortal(team, team.stage("submitter", chain=chain), trap)
        for name in ("router", "builder", "confirmer"):
            await team.worker(name, lease_ms=LEASE_MS)
        await trap.sprung()
        await dying.die()
        await lived_once(team, ids, "submitter")


@pytest.mark.parametrize("stage", ["router", "builder", "confirmer"])
async def test_a_query_whose_worker_died_is_repeated(
    redis_url: str, tmp_path: Path, stage: str
) -> None:
    """The venue takes its time, so that each order is asked about in a task of its own."""
    async with crew(redis_url, tmp_path) as team:
        ids = await placed(team)
        trap = Trap(Point("ask", "after", 2))
        dying = await mortal(team, asked_late(team.stage(stage), trap), trap)
        for name in STAGES:
            if name not in (stage, "watcher"):
                await team.worker(name, lease_ms=LEASE_MS)
        await trap.sprung()
        await dying.die()
        await team.worker(stage, lease_ms=LEASE_MS)
        assert await team.ended(ids) == ["confirmed"] * len(ids)
        assert team.executions() == dict.fromkeys(ids, 1)


def asked_late(stage: Stage, trap: Trap) -> Stage:
    class Venue:
        async def ask(self, answer: Any) -> Any:
            return await answer.awaitable if isinstance(answer, Later) else answer

    venue, ask = Venue(), stage.ask
    trap.at(venue, "ask")

    def asks(orders: Sequence[Order]) -> list[Any]:
        return [Later(venue.ask(answer)) for answer in ask(orders)]

    return dataclasses.replace(stage, ask=asks)


@pytest.mark.parametrize("point", [p for p in POINTS if p.call == "append"], ids=str)
@pytest.mark.parametrize("stage", ["router", "builder", "submitter"])
async def test_a_cancel_after_a_worker_death_succeeds_or_the_order_is_sent(
    redis_url: str, tmp_path: Path, stage: str, point: Point
) -> None:
    async with crew(redis_url, tmp_path) as team:
        ids = await placed(team)
        trap = Trap(point)
        dying = await mortal(team, stage, trap)
        for name in STAGES:
            if name not in (stage, "watcher"):
                await team.worker(name, lease_ms=LEASE_MS)
        await trap.sprung()
        cancelled = [
            order_id
            for order_id in ids
            if (await orders.cancel(team.log, order_id, "ann")).outcome
            is orders.CommandOutcome.DONE
        ]
        await dying.die()
        await team.worker(stage, lease_ms=LEASE_MS)
        ends = dict(zip(ids, await team.ended(ids), strict=True))
        assert set(ends.values()) <= {"confirmed", "cancelled"}
        assert {i for i, end in ends.items() if end == "cancelled"} == set(cancelled)
        done = [order_id for order_id in ids if order_id not in cancelled]
        assert team.executions() == dict.fromkeys(done, 1)


@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_an_order_is_armed_once_wherever_workers_die(
    redis_url: str, tmp_path: Path, point: Point
) -> None:
    async with crew(redis_url, tmp_path) as team:
        fact = OrderSubmitted(
            "limit", "SOL", "USDC", 9, 6, 10**9, 0, target_price="1000", time_in_force="GTC"
        )
        ids = [new_order_id() for _ in range(ORDERS)]
        await team.log.append([team.log.build_creation(i, ACCOUNT, fact)[0] for i in ids])
        trap = Trap(point)
        dying = await mortal(team, "watcher", trap)
        await trap.sprung()
        await dying.die()
        await team.worker("watcher", lease_ms=LEASE_MS)
        await team.until(lambda: len(team.seen) == 2 * ORDERS)
        await team.settled("watcher")
        for order_id in ids:
            assert team.names(order_id) == ["OrderSubmitted", "OrderArmed"]


async def test_more_than_500_waiting_orders_are_all_delivered(
    redis_url: str, tmp_path: Path
) -> None:
    """What is due is handed over in slices, and none is taken out that was not."""
    async with crew(redis_url, tmp_path) as team:
        ids = await team.submit(500) + await team.submit(500) + await team.submit(200)
        inbox = team.log.inbox("router", "waits", lease_ms=60_000)
        await inbox.open()
        while messages := await inbox.take(100, block_ms=1):
            requests = [
                ack_only(order_id, message.delivery(place), wait_ms=1)
                for message in messages
                for place, order_id in enumerate(message.order_ids)
            ]
            for at in range(0, len(requests), 500):
                await team.log.append(requests[at : at + 500])
            inbox.mark_acked(
                [request.delivery for request in requests if request.delivery is not None]
            )
            if not await LogServer(team.log).call("XLEN", team.log.keys.inbox("router")):
                break
        counter: Counter[str] = Counter()

        async def all_back() -> bool:
            await inbox.promote_due()
            for message in await inbox.take(100, block_ms=1):
                counter.update(message.order_ids)
            return len(counter) >= len(ids)

        await until(all_back)
        assert counter == dict.fromkeys(ids, 1)
        await inbox.close()
