"""Log lines of outages: one where a backend stops answering, one where it answers again.

Several tasks of a process notice the same outage, each at every retry, so the state is kept by
process and backend. What is retried meanwhile logs nothing.
"""

from __future__ import annotations

import time

import structlog

from events.telemetry.error_text import error_text

_log = structlog.get_logger()


class Outage:
    """The state of one backend as this process sees it."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._began_s: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether an outage was logged and is not over: what follows from it is not news."""
        return self._began_s is not None

    def failed(self, error: BaseException) -> None:
        """Records that the backend did not answer; logs the first time."""
        if self._began_s is None:
            self._began_s = time.monotonic()
            _log.warning("backend_outage_begun", backend=self.backend, error=error_text(error))

    def over(self) -> None:
        """Records that the backend answered; logs it after an outage."""
        if self._began_s is not None:
            seconds = round(time.monotonic() - self._began_s, 3)
            self._began_s = None
            _log.info("backend_outage_over", backend=self.backend, duration_s=seconds)


LOG = Outage("log")
"""Redis or Valkey with the event log."""
ARCHIVE = Outage("archive")
"""Postgres."""
NODE = Outage("node")
"""The nodes of SOLANA_RPC_URL, all of them."""
COLLECTOR = Outage("collector")
"""The collector of traces."""
