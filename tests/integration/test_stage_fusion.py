"""The router appends the events of builder and submitter in one append: all of them or none. A step
without an immediate answer is left to its stage. Limits that do not bind change nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from events.commands import engine_switch, orders
from events.types import OrderExpired, OrderRouted, OrderSubmitted, TransactionSubmitted
from stages.venues import Built
from stages.venues.simulated.chain import SimulatedChain
from tests.support.log.workers import Crew, crew
from tests.support.waits import until, until_blocking

AHEAD = ("builder", "submitter")
BREATH = ["RoutingStarted", "OrderRouted", "TransactionBuilt", "TransactionSubmitted"]


async def batches(team: Crew) -> list[int]:
    """How many events each append wrote."""
    reader = team.log.reader("batches")
    lens = [len(batch.records) for batch in await reader.read(0)]
    await reader.close()
    return lens


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"concurrency": 10},
        {"orders_per_minute": 100},
        {"concurrency": 10, "orders_per_minute": 100},
    ],
)
async def test_an_order_is_routed_built_and_sent_in_one_append(
    redis_url: str, tmp_path: Path, limits: dict[str, Any]
) -> None:
    async with crew(redis_url, tmp_path) as team:
        await team.worker("router", ahead=AHEAD, **limits)
        await team.worker("confirmer")
        ids = await team.submit(1)
        assert await team.ended(ids) == ["confirmed"]
        assert team.names(ids[0]) == ["OrderSubmitted", *BREATH, "OrderConfirmed"]
        assert await batches(team) == [1, len(BREATH), 1]
        assert team.executions() == {ids[0]: 1}


@pytest.mark.parametrize(
    "limits", [{}, {"concurrency": 7}, {"concurrency": 500, "orders_per_minute": 1000}]
)
async def test_many_fused_orders_are_executed_once_each(
    redis_url: str, tmp_path: Path, limits: dict[str, Any]
) -> None:
    async with crew(redis_url, tmp_path) as team:
        for _ in range(2):
            await team.worker("router", ahead=AHEAD, **limits)
            await team.worker("confirmer")
        ids = await team.submit(400)
        assert set(await team.ended(ids)) == {"confirmed"}
        assert team.executions() == dict.fromkeys(ids, 1)


async def test_a_router_that_dies_before_the_send_leaves_it_to_the_confirmer(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        sends = team.stage("submitter")
        dead = sends.__class__(name=sends.name, decide=sends.decide, after=None)
        worker = await team.worker("router", ahead=AHEAD)
        worker._context.fused = {"builder": team.stage("builder"), "submitter": dead}
        ids = await team.submit(3)
        await team.until(lambda: len(team.of(TransactionSubmitted)) == 3)
        assert team.executions() == {}
        await worker.die()
        await team.worker("confirmer")
        assert await team.ended(ids) == ["confirmed"] * 3
        assert team.executions() == dict.fromkeys(ids, 1)


async def test_no_send_is_fused_past_a_halt(redis_url: str, tmp_path: Path) -> None:
    async with crew(redis_url, tmp_path) as team:
        await engine_switch.halt(team.log, "odd prices", "ann")
        worker = await team.worker("router", ahead=AHEAD)
        await team.worker("confirmer")
        ids = await team.submit(5)
        await team.settled("router")
        await until(lambda: worker.held_orders == 0)
        assert not team.of(TransactionSubmitted)
        assert [(await orders.cancel(team.log, ids[0], "ann")).outcome] == [
            orders.CommandOutcome.DONE
        ]
        await engine_switch.resume(team.log, "ann")
        assert await team.ended(ids) == ["cancelled", *["confirmed"] * 4]
        assert team.executions() == dict.fromkeys(ids[1:], 1)


async def test_an_order_past_its_expiry_at_the_append_is_not_sent(
    redis_url: str, tmp_path: Path
) -> None:
    class Slow(SimulatedChain):
        """Its transactions are made while the order's time runs out."""

        def build(self, order):  # type: ignore[no-untyped-def]
            expires_at_us = order.expires_at_us or 0
            until_blocking(lambda: time.time_ns() // 1000 > expires_at_us, "the order expired")
            return super().build(order)

    async with crew(redis_url, tmp_path) as team:
        worker = await team.worker("router", ahead=AHEAD)
        slow = Slow(team.simulation, team.ledger_path)
        worker._context.fused = {name: team.stage(name, chain=slow) for name in AHEAD}
        ids = await team.submit(1, expires_at_us=time.time_ns() // 1000 + 300_000)
        assert await team.ended(ids) == ["expired"]
        assert len(team.of(OrderExpired)) == 1
        assert team.executions() == {}


async def test_a_step_without_an_immediate_answer_is_left_to_its_own_stage(
    redis_url: str, tmp_path: Path
) -> None:
    class Later(SimulatedChain):
        async def build(self, order) -> Built:  # type: ignore[no-untyped-def,override]
            return super().build(order)

    async with crew(redis_url, tmp_path) as team:
        worker = await team.worker("router", ahead=AHEAD)
        later = Later(team.simulation, team.ledger_path)
        worker._context.fused = {name: team.stage(name, chain=later) for name in AHEAD}
        order_id = await team.place(OrderSubmitted("market", "SOL", "USDC", 9, 6, 10**9, 50))
        await team.until(lambda: team.of(OrderRouted))
        assert team.names(order_id) == ["OrderSubmitted", "RoutingStarted", "OrderRouted"]
        for name in ("builder", "submitter", "confirmer"):
            await team.worker(name)
        assert await team.ended([order_id]) == ["confirmed"]


async def test_a_fused_send_is_made_by_the_worker_that_appended_it(
    redis_url: str, tmp_path: Path
) -> None:
    """Without a confirmer, who would send it again after a while."""
    async with crew(redis_url, tmp_path) as team:
        await team.worker("router", ahead=AHEAD)
        ids = await team.submit(3)
        await until(lambda: team.executions() == dict.fromkeys(ids, 1))
