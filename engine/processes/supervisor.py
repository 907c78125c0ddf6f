"""Runs the processes of an engine: starts them in order, restarts what dies, stops them in order.

The table is a list of groups in the order of stopping; starting goes the other way round. Before
everything has run once, a program that keeps dying raises `StartError`; after that it is restarted
without limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from engine.processes.child_log import DEFAULT, ChildLog, Rotation
from engine.processes.program import Program, StartError, kill_tree, signal_group
from engine.processes.unanswered import Unanswered

POLL_S = 0.02
PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 10.0
# After so long a run a death is news, not a loop: the pause starts small again.
STEADY_S = 10.0
# Deaths in a row before the engine was ever ready: pauses of 0.1 … 1.6 s, about four seconds.
DEATHS_MAX = 6
# From so many deaths in a row on, the lines of each new start stay in the file of the child.
LOOP_DEATHS = 2
# What a start waits for is logged after the first time, and then again and again after the second.
DELAYED_S, STILL_DELAYED_S = 5.0, 10.0
# Whether a process hangs is looked at so often.
LOOK_S = 1.0
# What ends in good order, to be started again, has so long: Postgres writes a checkpoint.
END_S = 20.0
# All groups together end within five seconds, so each gets its share of a second less.
STOP_S = 4.0

log = structlog.get_logger()


class Child:
    """One program, kept running until told to stop."""

    def __init__(self, program: Program, log_: ChildLog, changed: Callable[[], None]) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self.deaths = 0  # in a row
        self.fault = ""  # why it ended last
        self.hopeless = False  # it ended for something that no restart mends
        self.quiet = True  # until all is ready a death is part of the start, and told at its end
        self._log = log_
        self._changed = changed
        self._process: subprocess.Popen[bytes] | None = None
        self._looked_at = 0.0
        self._touched = 0  # when it had last shown life, by the file's clock
        self._still = 0  # looks in a row since
        self._unanswered = Unanswered(program.answers) if program.answers else None
        self._loop_since_s = 0.0  # when the first of its deaths in a row was
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its process id, 0 while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    async def keep(self) -> None:
        """Runs it again and again."""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._run_once()
            except OSError as error:  # too many processes, no memory: as good as a death
                self.fault = str(error)
            self.ready.clear()
            if self._stopping.is_set():
                return
            self._count_death(time.monotonic() - began > STEADY_S)
            pause_s = min(PAUSE_MAX_S, PAUSE_MIN_S * 2 ** min(self.deaths - 1, 10))
            about = {
                "name": self.program.name,
                "error": self.fault,
                "deaths": self.deaths,
                "pause_s": pause_s,
            }
            if not self.quiet:
                log.warning("process_restarted", **about)
            elif not self.hopeless:
                log.info("process_start_retried", **about)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    def _count_death(self, after_steady_run: bool) -> None:
        """Counts deaths in a row."""
        self.deaths = 1 if after_steady_run else self.deaths + 1
        if self.deaths == 1:
            self._loop_since_s = time.monotonic()
        self._log.brief = self.deaths >= LOOP_DEATHS

    def _look_back(self, began: float) -> None:
        """Logs that deaths in a row are over, once a process runs steadily."""
        if not self.ready.is_set() or time.monotonic() - began <= STEADY_S:
            return
        if self._log.brief and not self.quiet:
            seconds = round(time.monotonic() - self._loop_since_s, 3)
            log.info(
                "process_recovered", name=self.program.name, deaths=self.deaths, duration_s=seconds
            )
        self._log.brief = False
        self.deaths = 0

    async def _run_once(self) -> None:
        self._log.mark()
        if self._unanswered is not None:
            self._unanswered.forget()
        self.program.prepare()
        self._still = 0
        lost, began = "", time.monotonic()
        read, write = os.pipe()
        try:
            process = self._process = self.program.spawn(write)
        finally:
            os.close(write)
        self._changed()
        self._tell_foreign(process.pid)
        pump = asyncio.create_task(self._log.pump(self.program.name, read))
        while process.poll() is None:
            if not self.ready.is_set() and self.program.ready(process.pid):
                self.ready.set()
                if self.program.alive is None:
                    log.info("process_ready", process=self.program.name)
            await asyncio.sleep(POLL_S)
            if not self._is_due():
                continue
            self._look_back(began)
            if self._hangs(process.pid) or self._is_mute():
                lost = f"it hung for {self.program.hung_s:.0f} s"
                log.warning("process_hung", name=self.program.name, silent_s=self.program.hung_s)
                kill_tree(process.pid)
            elif self.ready.is_set() and (lost := self._lost()):
                log.warning("process_unreachable", name=self.program.name, reason=lost)
                await self._end(process)
        # What it left behind in its session goes too; it may hold the pipe open otherwise.
        signal_group(process.pid, signal.SIGKILL)
        if self.program.alive is not None:
            with contextlib.suppress(OSError):
                self.program.alive(process.pid).unlink()
        await asyncio.wait({pump}, timeout=0.5)
        pump.cancel()
        code = process.returncode
        self.fault = lost or (self._log.last_words() if code >= 0 else signal.Signals(-code).name)
        self.hopeless = code == self.program.hopeless

    def _tell_foreign(self, pid: int) -> None:
        """Logs the start of a program that does not do so itself; in a loop its end is enough."""
        if not self.program.tells and not self._log.brief:
            log.info("process_started", process=self.program.name, pid=pid)

    def _is_due(self) -> bool:
        """Whether it is time to look at the process."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return False
        self._looked_at = now
        return True

    def _lost(self) -> str:
        """Why it cannot be reached; empty where it can, or where that cannot be told now."""
        try:
            return self.program.lost()
        except OSError:
            return ""

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Asks a process to end, and waits until it did."""
        deadline = time.monotonic() + END_S
        process.send_signal(self.program.stop)
        while process.poll() is None and not self._stopping.is_set():
            if time.monotonic() > deadline:
                signal_group(process.pid, signal.SIGKILL)
            await asyncio.sleep(POLL_S)

    def _hangs(self, pid: int) -> bool:
        """Whether its liveness file stayed untouched for `hung_s`, counted in checks.

        Checks are counted, not clock time: after the whole machine was suspended, each process
        gets the full time again.
        """
        if self.program.alive is None:
            return False
        now = time.monotonic()
        alive = self.program.alive(pid)
        try:
            touched = alive.stat().st_mtime_ns
            if touched == self._touched and self._still * LOOK_S >= self.program.hung_s:
                os.utime(alive)  # else it could not show any, however well it is
                # Nor could it on a disk that hung until now: then it gets the full time again.
                return time.monotonic() - now < LOOK_S
        except OSError:  # it has only begun, or the disk is full or read-only
            touched = 0
        self._still = self._still + 1 if touched and touched == self._touched else 0
        self._touched = touched
        return False

    def _is_mute(self) -> bool:
        """Whether a server that was ready has answered nothing for `hung_s`, counted in looks."""
        if self._unanswered is None or not self.ready.is_set():
            return False
        return self._unanswered.look() * LOOK_S >= self.program.hung_s

    async def stop(self, patience_s: float) -> None:
        """Asks it to end, and kills it once patience is over."""
        self._stopping.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        if not self.program.tells:
            log.info("process_stopping", process=self.program.name)
        process.send_signal(self.program.stop)
        deadline = time.monotonic() + patience_s
        while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
            await asyncio.sleep(POLL_S)
        if process.poll() is None:
            log.warning("process_killed", name=self.program.name)
            signal_group(process.pid, signal.SIGKILL)
        elif not self.program.tells:
            log.info("process_stopped", process=self.program.name)


class Supervisor:
    """The children of an engine. `changed(pids)` is told whenever one was started."""

    def __init__(
        self,
        groups: Sequence[Sequence[Program]],
        logs: Path,
        changed: Callable[[dict[str, int]], None] = lambda _pids: None,
        rotation: Rotation = DEFAULT,
    ) -> None:
        self._rotation = rotation
        self._lacking: Callable[[], str] = str
        self._report = changed
        self._groups = [[self._child(p, logs) for p in group] for group in groups]
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def children(self) -> list[Child]:
        """All of them, in the order of stopping."""
        return [child for group in self._groups for child in group]

    async def run(
        self,
        stop: asyncio.Event,
        ready: Callable[[], Awaitable[bool]],
        announce: Callable[[], None],
        lacking: Callable[[], str] = lambda: "",
    ) -> None:
        """Starts everything, calls `announce()` once `ready()` is true, and ends at `stop`.

        `lacking()`: why `ready()` was not true the last time.
        """
        self._lacking = lacking
        try:
            for group in reversed(self._groups):
                self._keepers += [asyncio.create_task(child.keep()) for child in group]
                await self._until(stop, functools.partial(_all_ready, group))
            await self._until(stop, ready)
            for child in self.children:
                child.quiet = False
            if not stop.is_set():
                announce()
            # A keeper never ends by itself: one that does has met a bug and ends the supervisor.
            stopped = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait(
                {stopped, *self._keepers}, return_when=asyncio.FIRST_COMPLETED
            )
            stopped.cancel()
            for task in done - {stopped}:
                task.result()
        finally:
            await self._stop()

    async def _until(self, stop: asyncio.Event, reached: Callable[[], Awaitable[bool]]) -> None:
        """Waits for a step of the start; logs what is missing, soon and then now and again."""
        next_s = time.monotonic() + DELAYED_S
        while not stop.is_set() and not await reached():
            for child in self.children:
                if child.deaths >= DEATHS_MAX or child.hopeless:
                    line = child.fault.removeprefix("engine: ")
                    msg = f"{child.program.name} does not start: {line}"
                    raise StartError(msg)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
            if time.monotonic() > next_s:
                next_s = time.monotonic() + STILL_DELAYED_S
                late = [c.program.name for c in self.children if c.pid and not c.ready.is_set()]
                about = {"waiting_for": late} if late else {"reason": self._lacking()}
                log.warning("engine_start_delayed", **about)
            await asyncio.sleep(POLL_S)

    async def _stop(self) -> None:
        """Stops group by group; late groups inherit the time that early ones did not need."""
        log.info("process_stopping")
        deadline = time.monotonic() + STOP_S
        for number, group in enumerate(self._groups):
            left = (deadline - time.monotonic()) / (len(self._groups) - number)
            await asyncio.gather(*(child.stop(max(0.1, left)) for child in group))
        await asyncio.wait_for(asyncio.gather(*self._keepers, return_exceptions=True), 2)

    def _child(self, program: Program, logs: Path) -> Child:
        log_ = ChildLog(logs / f"{program.name}.log", self._rotation)
        return Child(program, log_, self._on_change)

    def _on_change(self) -> None:
        self._report({child.program.name: child.pid for child in self.children if child.pid})


async def _all_ready(group: Sequence[Child]) -> bool:
    return all(child.ready.is_set() for child in group)
