"""FLUSHALL under a whole engine: it stops, `engine repair` rebuilds the log, it continues."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import redis.asyncio

from engine.settings_loader import environment
from events.archive import Archive
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import LOCAL_CHAIN, Engine, engine_up
from tests.support.waits import HANG_S, until


async def command(engine: Engine, *args: str) -> tuple[int, str]:
    """Exit code and output of `engine …`, beside the running one."""
    process = await asyncio.create_subprocess_exec(
        *ENGINE,
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=engine.settings.data_dir,
        env=os.environ | environment(engine.settings),
    )
    raw, _ = await asyncio.wait_for(process.communicate(), HANG_S)
    return process.returncode or 0, raw.decode()


async def archived(engine: Engine) -> int:
    """Waits until all of the log is archived; the position."""
    archive = await Archive.open(engine.record().database_url, connections=1)

    async def same() -> bool:
        ready: Any = (await engine.get("/readyz")).body
        return bool(await archive.position() == ready["log"]["position"])

    await until(same)
    try:
        return await archive.position()
    finally:
        await archive.close()


async def test_a_flushed_log_is_recreated_and_the_engine_continues(short_path: Path) -> None:
    # Of the simulation: tests/integration/test_repair.py, tests/e2e/test_backup.py.
    # Never in two hops, whose first bears a percent: at 20 slots a second prices may leave that.
    safe: dict[str, Any] = {"tokenOut": "USDC", "slippageBps": 1000}
    async with engine_up(short_path / "data", **LOCAL_CHAIN) as engine:
        done = await engine.submit_many(10, **safe)
        waiting = await engine.submit(key="waits", type="limit", targetPrice="1000")
        await engine.ended(done)
        await engine.until(lambda: engine._statuses[waiting] == "watching")
        position = await archived(engine)
        assert (await command(engine, "repair"))[0] == 0

        # What follows is in the log only, and lost with it.
        projector = engine.kill("projector", signal.SIGSTOP)
        [lost] = await engine.submit_many(1, **safe)
        await engine.ended([lost])
        async with redis.asyncio.from_url(engine.record().redis_url) as client:
            await client.flushall()

        async def refused() -> bool:
            return (await engine.get("/readyz")).status == 503

        os.kill(projector, signal.SIGCONT)
        await until(refused)
        code, text = await command(engine, "repair")
        assert (code, f"the archive has {position} events" in text) == (3, True), text
        code, text = await command(engine, "repair", "--yes", "--json")
        assert code == 0, text
        repaired = json.loads(text)
        assert (repaired["epoch"], repaired["position"]) == (2, position)
        assert (repaired["open_orders"], repaired["strangers"]) == (1, [lost])

        again = await engine.submit(key="waits", type="limit", targetPrice="1000")
        assert again == waiting, "a key that was archived names its order still"
        fresh = await engine.submit_many(5, **safe)
        ends = await engine.ended(fresh)
        assert set(ends.values()) == {"confirmed"}, [
            (frame["reason"], frame["stage"])
            for frame in engine.frames
            if frame["status"] == "failed"
        ]
        async with engine.http.delete(f"{engine.url}/api/orders/{waiting}") as answer:
            assert (await answer.json())["status"] == "cancelled"
        await archived(engine)
        executed = Counter(row.order_id for row in engine.ledger() if row.ok)
        assert executed == dict.fromkeys([*done, lost, *fresh], 1)
        assert (await command(engine, "repair"))[0] == 0
        code, text = await command(engine, "venue", "ledger", "--json")
        listed = [json.loads(line) for line in text.splitlines()]
        assert Counter(line["orderId"] for line in listed if line["ok"]) == executed
        code, text = await command(engine, "audit", "verify")
        assert code == 0, text
        [told] = [notice for notice in engine.notices if "recovered" in notice]
        assert (told["code"], told["recovered"]) == ("epoch-changed", False)
        assert told["position"] == position
        ready: Any = (await engine.get("/readyz")).body
        head = ready["log"]["position"]
        await engine.until(lambda: engine.frames[-1]["position"] == head)
        seen = [frame["position"] for frame in engine.frames]
        assert seen == [*range(1, position + 7), *range(position + 1, head + 1)]
