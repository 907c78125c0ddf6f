"""The engine that is measured: `engine up` in a folder of its own, started as a user would."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from engine.embedded.data_dir import RunState, running
from tests.bench import children, cpu

SETTINGS = {
    "VENUES": "simulated",
    "VENUE_LATENCY_MS": "0",
    "CONCURRENCY": "0",
    "ORDERS_PER_MINUTE": "0",
    # What bounds memory: heads live this long after their order ended.
    "IDEMPOTENCY_WINDOW_S": "60",
    "LOG_RETAIN_EVENTS": "100000",
    # Only frames that tell of events are to be counted.
    "HEARTBEAT_MS": "60000",
    "LOG_LEVEL": "warning",
}
"""All else is as shipped: fsync before every answer, the projector running."""

POLL_S = 0.02


class TooSlow(Exception):
    """The engine did not get there in time; the message says how far it was."""


class Subject:
    """A running engine. `stop` leaves nothing behind."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are those that differ from SETTINGS."""
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **SETTINGS,
            **(settings or {}),
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
        }
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 1,000 subscribers
        folder.mkdir(parents=True)
        self._errors = folder.with_suffix(".err")
        self._process = children.spawn(
            self.command("up"), cwd=folder, environ=self.environ, errors=self._errors
        )
        try:
            children.read_line(self._process)  # the ready line
        except RuntimeError:
            raise RuntimeError(self._errors.read_text()[-2000:]) from None

    @staticmethod
    def command(*words: str) -> list[str]:
        """Return the command line of an `engine` command."""
        return [sys.executable, "-P", "-m", "engine", *words]

    @property
    def record(self) -> RunState:
        """What runs, as written in DATA_DIR."""
        state = running(self.folder)
        assert state is not None, "the engine is gone"
        return state

    def stop(self) -> None:
        """Stop it; its processes are ended by their pids where it cannot do so itself."""
        pids = dict(self.record.pids) if self._process.poll() is None else {}
        if children.end(self._process):
            return
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    # -- asking --------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return self._ask("GET", path)

    def post(self, path: str, body: bytes) -> Any:
        """Return the JSON of a POST."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            return msgspec.json.decode(connection.getresponse().read())
        finally:
            connection.close()

    def settle(self, patience_s: float = 120) -> dict[str, Any]:
        """Wait until no order is owed anything and the projection is where the log is."""
        deadline = time.monotonic() + patience_s
        while True:
            state = self.get("/readyz")
            lag = state["lag"]
            owed = sum(s["orders"] for s in (lag["stages"] or {"": {"orders": 1}}).values())
            behind = lag["projection"]["events"] if lag["projection"] else 1
            if owed == 0 and behind == 0:
                return dict(state)
            if time.monotonic() > deadline:
                msg = f"after {patience_s} s: {owed} orders open, {behind} events not projected"
                raise TooSlow(msg)
            time.sleep(POLL_S)

    def position(self) -> int:
        """Return the newest position."""
        return int(self.get("/readyz")["log"]["position"])

    def sql(self, query: str, *arguments: Any) -> list[Any]:
        """Return the rows of a query."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self.record.database_url)
            try:
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def statuses(self) -> dict[str, int]:
        """Return how many orders are projected in each status."""
        return dict(self.sql("SELECT status, count(*) FROM orders GROUP BY status"))

    def cpu(self) -> cpu.Seconds:
        """Return what each process has spent."""
        return cpu.spent(self.record.pids)

    def bytes_on_disk(self) -> int:
        """Return what DATA_DIR takes."""
        total = 0
        for where, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += (Path(where) / name).lstat().st_blocks * 512
                except FileNotFoundError:
                    continue
        return total
