"""kill -9 of a router that also builds and sends, in one append."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.test_kills import KILLS, ORDERS, assert_all_is_well, load
from tests.support.processes.engine_up import PROCESSES, dice, engine_up
from tests.support.waits import pace


async def test_random_kills_of_a_fusing_router_lose_and_double_no_order(tmp_path: Path) -> None:
    chance = dice()
    # Without latency every answer is there at once: orders go from the door to the send in two
    # appends. The router is killed most often: it is the one with something in hand.
    options = {"fuse_stages": 1, "venue_latency_ms": 0, "venue_failure_rate": "0.05"}
    async with engine_up(tmp_path / "d", **options) as engine:
        loading = asyncio.create_task(load(engine, chance, ORDERS, 2.5))
        for _ in range(KILLS):
            await pace(chance.random() * 0.3)
            engine.kill(chance.choice((*PROCESSES, "router", "router")))
        await assert_all_is_well(engine, await loading)
