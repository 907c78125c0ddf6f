"""A process whose Redis is not there waits for it, and logs that once, not ten times a second."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

from engine.processes import parent_death
from engine.settings_loader import environment
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import free_port, settings_for
from tests.support.waits import HANG_S, pace

TRIES_S = 0.8
"""Eight tries of a process that makes ten a second."""


async def test_an_unreachable_redis_is_logged_on_change_only(tmp_path: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = settings_for(tmp_path, redis_url=nowhere, database_url="postgresql://nobody@/none")
    process = await asyncio.create_subprocess_exec(
        *parent_death.command([*ENGINE, "stage", "router"], signal.SIGKILL),
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | environment(settings),
    )
    assert process.stderr is not None
    started = json.loads(await asyncio.wait_for(process.stderr.readline(), HANG_S))
    first = json.loads(await asyncio.wait_for(process.stderr.readline(), HANG_S))
    await pace(TRIES_S)
    process.terminate()
    rest = (await process.stderr.read()).splitlines()
    await process.wait()
    assert started["event"] == "process_started"
    assert first["event"] == "log_awaited"
    assert nowhere.split("/")[2].split(":")[1] in first["error"]
    assert [line for line in rest if b"log_awaited" in line] == []
