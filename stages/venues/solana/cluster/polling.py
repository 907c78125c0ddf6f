"""A loop that polls nodes in the background, from `start` to `close`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog

AGAIN_S = 1.0
"""After a bug ended the loop, until it begins again."""

_log = structlog.get_logger()


class PollingLoop(ABC):
    """The base of what polls."""

    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to poll, in this loop; nothing if that was done before."""
        if self._task is None:
            self._task = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Stops polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _poll(self) -> None:
        """Polls, whatever an answer does to it: what is not read any more would only grow old."""
        while True:
            try:
                return await self._run()
            except Exception:
                _log.exception("reader_failed", reader=type(self).__name__)
            await asyncio.sleep(AGAIN_S)

    @abstractmethod
    async def _run(self) -> None:
        """Polls until it is cancelled, or has nothing left to read."""
