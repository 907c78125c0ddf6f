"""The life of one long-running process: logs, event loop, signals, and a sign of life.

A process is asked to stop by SIGTERM or SIGINT: its `stop` event is set, and it ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from engine.processes.signs_of_life import HEART
from engine.settings import Settings
from engine.settings_loader import notices
from engine.telemetry import logging
from events.version import VERSION

# Below the supervisor's patience for one group of processes, so that this process ends by itself.
STOP_PATIENCE_S = 2.0

HUNG_S = 30.0
"""Many times what any turn of a loop takes."""
LOOK_S = 1.0
HUNG = 70
"""Exit code of a process that ended itself because its event loop stood still."""

Main = Callable[[asyncio.Event], Awaitable[None]]


def serve(settings: Settings, process: str, main: Main, *, may_hang: bool = False) -> int:
    """Runs `main(stop)` until it returns; returns the exit code.

    A process whose event loop stands still for HUNG_S ends itself, so that whatever started it
    (compose, systemd, Kubernetes) starts it again; with `may_hang` it does not.
    """
    logging.configure(settings, process)
    log = structlog.get_logger()
    log.info("process_started", pid=os.getpid(), version=VERSION)
    if not may_hang:
        watch = threading.Thread(target=_end_if_hung, args=(hung_s(settings),), daemon=True)
        watch.start()
    log_notices()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(_live(main, HEART.beat(settings, process)))
    log.info("process_stopped")
    return 0


def hung_s(settings: Settings) -> float:
    """How long a process may show no life before it is ended."""
    return max(HUNG_S, 4 * settings.heartbeat_ms / 1000)


def log_notices() -> None:
    """Logs what of the settings has no effect."""
    for line in notices():
        structlog.get_logger().warning("setting_without_effect", detail=line)


def _end_if_hung(after_s: float) -> None:
    """Runs in a thread. Looks are counted, not time: a process that was stopped, or whose machine
    slept, gets the full time again.
    """
    still, seen, clock = 0, HEART.beats, threading.Event()
    while still * LOOK_S < after_s:
        clock.wait(LOOK_S)
        still = still + 1 if HEART.beats == seen else 0
        seen = HEART.beats
    structlog.get_logger().warning("process_hung", silent_s=after_s, stacks=stacks())
    os._exit(HUNG)


def stacks() -> dict[str, list[str]]:
    """Where each thread stands, the newest call last; without the values of variables."""
    frames = sys._current_frames()
    return {
        thread.name: [
            f"{call.filename}:{call.lineno} {call.name}"
            for call in traceback.extract_stack(frames[thread.ident])
        ]
        for thread in threading.enumerate()
        if thread.ident in frames
    }


async def stop_on_signal(stop: asyncio.Event) -> None:
    """Sets `stop` at the first SIGINT or SIGTERM, or SIGHUP unless it is ignored (nohup)."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)


async def _live(main: Main, beat: Coroutine[Any, Any, None]) -> None:
    stop = asyncio.Event()
    await stop_on_signal(stop)
    work = asyncio.ensure_future(main(stop))
    beats = asyncio.create_task(beat)
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
        await asyncio.wait({beats})


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new_loop
