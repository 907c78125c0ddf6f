"""A process beside a test, killed at the end of the block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from engine.processes import parent_death
from engine.settings import Settings
from engine.settings_loader import environment

ENGINE = (sys.executable, "-P", "-m", "engine")


@contextlib.asynccontextmanager
async def child(*argv: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts a process with the options of asyncio, and kills it at the end."""
    process = await asyncio.create_subprocess_exec(*argv, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def stage_process(
    settings: Settings, *names: str, output: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`engine stage NAME…` in the folder of its output, which also ends with this process."""
    argv = parent_death.command([*ENGINE, "stage", *names], signal.SIGKILL)
    env = os.environ | environment(settings)
    with output.open("ab") as log:
        async with child(*argv, stderr=log, cwd=output.parent, env=env) as process:
            yield process
