"""Processes that exist and show no life: by their signs in DATA_DIR, and by their connections.

The signs are of the processes that share the DATA_DIR of this gateway. Workers of stages elsewhere
are seen by their connections to the log's server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from events.log import EventLog, LogError
from gateway.http.readiness_reasons import Reason, reason
from projections.views.formats import timestamp

SIGNS_S = 2.0
"""How long the disk may take to give the signs."""
WORKERS_S = 2.0
"""How long the log's server may take to name its clients."""
HOST_SHOWN = 32
"""Characters of a host's name by which two are told apart."""


class ProcessSign(NamedTuple):
    """The sign of life of one process that exists."""

    process: str
    host: str
    pid: int
    silent_s: float
    by_connections: bool = False
    """Whether only its connections are known, which outlive a host that is lost."""

    @property
    def name(self) -> str:
        """Its name in reasons and metrics."""
        return f"{self.process}@{self.host}.{self.pid}"


Signs = Callable[[], Sequence[ProcessSign]]
"""Reads the signs of a DATA_DIR. It may block."""


def no_signs() -> Sequence[ProcessSign]:
    """There is no DATA_DIR."""
    return ()


def silent(
    signs: Iterable[ProcessSign], workers: Iterable[ProcessSign], own_pid: int, after_s: float
) -> dict[str, ProcessSign]:
    """The processes that were silent for `after_s`, by name. Pure.

    `signs` are of the gateway's DATA_DIR; where its own sign is as old, its disk takes no signs,
    and they tell nothing. `workers` are known by their connections.
    """
    signs = list(signs)
    if any(s.pid == own_pid and s.process == "gateway" and s.silent_s >= after_s for s in signs):
        signs = []
    here = {(_plain(sign.host), sign.pid) for sign in signs}
    others = [worker for worker in workers if (_plain(worker.host), worker.pid) not in here]
    return {sign.name: sign for sign in [*signs, *others] if sign.silent_s >= after_s}


def _plain(host: str) -> str:
    """A host's name as files and connections write it alike: each replaces other characters."""
    return re.sub(r"(_[0-9a-f]{2})+|_+", "_", host)[:HOST_SHOWN]


class HungProcesses:
    """What the looks have shown."""

    def __init__(self, after_s: float, signs: Signs) -> None:
        self._after_s = after_s
        self._signs = signs
        self._reading: asyncio.Task[Sequence[ProcessSign]] | None = None
        self._since_us: dict[str, int] = {}
        self._suspects: Mapping[str, ProcessSign] = {}
        self.hung: Mapping[str, ProcessSign] = {}
        """By name: the processes that were silent in two looks in a row."""

    async def look(self, log: EventLog) -> None:
        """Looks at all processes: without those that cannot be read now."""
        workers: list[ProcessSign] = []
        with contextlib.suppress(LogError, TimeoutError):
            async with asyncio.timeout(WORKERS_S):
                workers = [
                    ProcessSign(*worker, by_connections=True)
                    for worker in await log.worker_processes()
                ]
        self.take(await self._read_signs(), workers, os.getpid(), time.time())

    async def _read_signs(self) -> Sequence[ProcessSign] | None:
        """The signs; None while the disk does not give them. One thread at a time waits for it."""
        if self._reading is None:
            self._reading = asyncio.create_task(asyncio.to_thread(self._signs))
        await asyncio.wait({self._reading}, timeout=SIGNS_S)
        if not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        return reading.result()

    def take(
        self,
        signs: Sequence[ProcessSign] | None,
        workers: Sequence[ProcessSign],
        own_pid: int,
        now_s: float,
    ) -> None:
        """Takes another look. After a pause of the whole machine all were silent, for one look.

        Where a disk gives the signs in every second look only, suspects stay from one to the next.
        """
        seen = silent(signs or (), workers, own_pid, self._after_s)
        self.hung = {name: sign for name, sign in seen.items() if name in self._suspects}
        self._suspects = seen if signs is not None else {**self._suspects, **seen}
        self._since_us = {
            name: self._since_us.get(name, int((now_s - sign.silent_s) * 1e6))
            for name, sign in self._suspects.items()
        }

    def reasons(self) -> dict[str, Reason]:
        """The reasons of /readyz by process."""
        return {name: reason("process-hung", self._text(sign)) for name, sign in self.hung.items()}

    def _text(self, sign: ProcessSign) -> str:
        since = timestamp(self._since_us[sign.name])
        state = "hangs, or its host is lost" if sign.by_connections else "hangs"
        return f"process {sign.pid} on {sign.host} {state}: no sign of life since {since}"
