"""A loop that polls nodes in the background, from `start` to `close`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod


class PollingLoop(ABC):
    """The base of what polls."""

    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to poll, in this loop; nothing if that was done before."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stops polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @abstractmethod
    async def _run(self) -> None:
        """Polls until it is cancelled."""
