"""The life of one long-running process: logs, event loop, signals, and a sign of life.

A process is asked to stop by SIGTERM or SIGINT: its `stop` event is set, and it ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from engine.settings import Settings, notices
from engine.telemetry import logging
from events.version import VERSION

# Below the supervisor's patience for one group of processes, so that we end by ourselves.
STOP_PATIENCE_S = 2.0

Main = Callable[[asyncio.Event], Awaitable[None]]


def serve(settings: Settings, process: str, main: Main) -> int:
    """Runs `main(stop)` until it returns; returns the exit code."""
    logging.configure(settings, process)
    log = structlog.get_logger()
    log.info("process_started", pid=os.getpid(), version=VERSION)
    log_notices()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(_live(main, alive_file(settings, process), settings.heartbeat_ms / 1000))
    log.info("process_stopped")
    return 0


def log_notices() -> None:
    """Logs what of the settings has no effect."""
    for line in notices():
        structlog.get_logger().warning("setting_without_effect", detail=line)


def alive_file(settings: Settings, process: str) -> Path:
    """Returns the file whose modification time is when the event loop of a process last turned."""
    return settings.data_dir / "alive" / process.replace(" ", "-")


def known(settings: Settings) -> list[str]:
    """Returns the processes that ever lived with this DATA_DIR."""
    return sorted(path.name for path in alive_file(settings, "x").parent.glob("*"))


def is_alive(settings: Settings, process: str) -> bool:
    """Whether a process touched its file within its last three heartbeats."""
    try:
        age_s = time.time() - alive_file(settings, process).stat().st_mtime
    except FileNotFoundError:
        return False
    return age_s < 3 * settings.heartbeat_ms / 1000


async def stop_on_signal(stop: asyncio.Event) -> None:
    """Sets `stop` at the first SIGINT or SIGTERM, or SIGHUP unless it is ignored (nohup)."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)


async def _live(main: Main, alive: Path, every_s: float) -> None:
    stop = asyncio.Event()
    await stop_on_signal(stop)
    work = asyncio.ensure_future(main(stop))
    beats = asyncio.create_task(_beat(alive, every_s))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            structlog.get_logger().info("process_stopping")
        done, _ = await asyncio.wait({work}, timeout=STOP_PATIENCE_S if stop.is_set() else None)
        if not done:
            structlog.get_logger().warning("process_stop_overdue", patience_s=STOP_PATIENCE_S)
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        beats.cancel()
        stopped.cancel()


async def _beat(alive: Path, every_s: float) -> None:
    alive.parent.mkdir(parents=True, exist_ok=True)
    while True:
        # A full disk must not end a process that can still finish orders.
        with contextlib.suppress(OSError):
            alive.touch()
        await asyncio.sleep(every_s)


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new_loop
