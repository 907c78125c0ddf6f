"""kill -9 of a real watcher, again and again, while orders rest, trigger, expire, are cancelled."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from events.commands import orders
from events.commands.orders import CommandOutcome
from events.ids import new_order_id
from events.log import EventLog
from events.types import OrderSubmitted
from tests.support.processes.engine_up import dice, engine_up
from tests.support.waits import pace, until

ORDERS = 300
KILLS = 4


async def test_repeated_kills_of_a_watcher_lose_and_double_no_order(tmp_path: Path) -> None:
    chance = dice()
    async with (
        engine_up(tmp_path / "d", slot_ms=20, venue_latency_ms=0) as engine,
        contextlib.AsyncExitStack() as stack,
    ):
        log = EventLog(engine.record().redis_url, build="test")
        stack.push_async_callback(log.close)
        await log.open(create=False)
        ids = []
        units = []
        for _ in range(ORDERS):
            target = chance.uniform(147, 153)
            # However long a watcher is away, what is paid sooner or later has the time to be.
            lasts_us = 600_000_000 if target < 148 else chance.randrange(500_000, 6_000_000)
            fact = OrderSubmitted(
                "limit", "SOL", chance.choice(("USDC", "USDT")), 9, 6, 10**9, 50,
                target_price=f"{target:.4f}", time_in_force="GTT",
                expires_at_us=time.time_ns() // 1000 + lasts_us,
            )  # fmt: skip
            ids.append(new_order_id())
            units.append(log.build_creation(ids[-1], "default", fact)[0])
        await log.append(units)
        engine.accepted.update(ids)
        cancelled = set()
        for _ in range(KILLS):
            pid = engine.kill("watcher")
            order_id = chance.choice(ids)
            answer = await orders.cancel(log, order_id, "ann")
            if answer.outcome is CommandOutcome.DONE:
                cancelled.add(order_id)
            await engine.restarted("watcher", pid)
            await pace(chance.random())
        statuses = await engine.ended(ids)
        await engine.assert_each_ended_exactly_once()
        assert {i for i, status in statuses.items() if status == "cancelled"} == cancelled
        assert {"confirmed", "expired"} <= set(statuses.values())
        await until(lambda: _none_rests(log))


async def _none_rests(log: EventLog) -> bool:
    return await log.resting() == 0
