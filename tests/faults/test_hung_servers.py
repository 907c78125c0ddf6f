"""A server of `engine up` that hangs is ended and started again, and no event is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from engine.settings_loader import environment
from tests.support.processes.engine_up import Engine, engine_up, is_running
from tests.support.waits import HANG_S, until


async def verified(engine: Engine) -> tuple[int, str]:
    """Exit code and output of `engine audit verify`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine", "audit", "verify",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | environment(engine.settings),
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), HANG_S)
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("server", ["valkey", "postgres"])
async def test_a_server_that_hangs_is_restarted_and_every_order_ends_once(
    short_path: Path, server: str
) -> None:
    async with engine_up(short_path) as engine:
        before = await engine.submit_many(20)
        resting = await engine.submit(key="resting", type="limit", targetPrice="9000")
        hung = engine.kill(server, signal.SIGSTOP)
        during = asyncio.gather(*(engine.submit(key=f"hung-{n}", amount=1) for n in range(20)))
        assert await engine.restarted(server, hung)
        await until(lambda: not is_running(hung))
        after = await engine.submit_many(20)
        ids = [*before, *await during, *after]
        assert len(set(ids)) == 60
        assert set((await engine.ended(ids)).values()) == {"confirmed"}
        assert (await engine.get(f"/api/orders/{resting}")).body["status"] == "watching"
        async with engine.http.delete(f"{engine.url}/api/orders/{resting}") as answer:
            assert answer.status == 200
        await engine.assert_each_ended_exactly_once()

        async def is_ready() -> bool:
            return bool((await engine.get("/readyz")).body["status"] == "ready")

        await until(is_ready)
        status, text = await verified(engine)
        assert status == 0, text
