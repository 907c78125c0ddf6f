"""The log's tail, gathered into chunks: a task of its own reads on while Postgres writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from events.log import Batch, LogReader, Stored

CHUNK_EVENTS = 16_000
"""A chunk is one transaction. The more of an order's life it holds, the fewer times its row is
written: 3.9 times at 1,000 events under load, 1.8 at 4,000, 1.1 at 20,000."""

FULL_EVENTS = 8000
"""Worth a transaction of its own: nobody waits for more."""

AHEAD_EVENTS = 40_000
"""Reading pauses at this many. One read may bring more: up to 100 log entries."""

READ_EVERY_S = 0.025
"""Between two reads. Nobody waits for the projector: woken for each event of an order it would take
the processor from those who work on that order."""

LINGER_S = 0.05
"""Orders that run alone are over within a few ms: several share a transaction, none takes six."""

LINGER_LOADED_S = 0.25
LOADED_EVENTS = 100
"""A chunk of this size means load: there, lingering makes room for everybody else."""


class Chunk(NamedTuple):
    """Events that follow each other, and the log entries in which they stand."""

    events: list[Stored]
    entries: list[Batch]
    """The last event may stand in the middle of the last one."""

    @property
    def first(self) -> int:
        """Position of the first event."""
        return self.events[0].position

    @property
    def last(self) -> int:
        """Position of the last event."""
        return self.events[-1].position

    @property
    def digest(self) -> bytes:
        """What a checkpoint at `last` keeps of the entry there."""
        entry = next(e for e in reversed(self.entries) if e.first <= self.last)
        return sha256(entry.data).digest()

    def halves(self) -> list[Chunk]:
        """Two chunks, of a chunk that has two events."""
        middle = len(self.events) // 2
        return [Chunk(part, self.entries) for part in (self.events[:middle], self.events[middle:])]


class TailBatcher:
    """Follows the log from a position. Enter it with `async with`."""

    def __init__(self, reader: LogReader, after: int, stop: asyncio.Event) -> None:
        self._reader = reader
        self._after = after
        self._stop = stop
        self._batches: deque[Batch] = deque()
        self._events = 0
        self._since = 0.0
        self._changed = asyncio.Condition()
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._linger_s = LINGER_S

    async def __aenter__(self) -> TailBatcher:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._pump()), loop.create_task(self._watch())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    @property
    def idle(self) -> bool:
        """Whether nothing has been read that was not taken."""
        return not self._events

    async def take(self, wait_s: float) -> Chunk | None:
        """The next chunk; None when nothing came within `wait_s`, or on stop.

        Raises what the reader raised, once everything before that is taken.
        """
        loop = asyncio.get_running_loop()
        async with self._changed:
            await self._until(lambda: self._events > 0, loop.time() + wait_s)
            if not self._events:
                if self._failure is not None:
                    raise self._failure
                return None
            await self._until(lambda: self._events >= FULL_EVENTS, self._since + self._linger_s)
            chunk = self._cut()
            loaded = len(chunk.events) >= LOADED_EVENTS
            self._linger_s = LINGER_LOADED_S if loaded else LINGER_S
            self._changed.notify_all()
            return chunk

    async def _until(self, reached: Callable[[], bool], deadline: float) -> None:
        def over() -> bool:
            return reached() or self._failure is not None or self._stop.is_set()

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._changed.wait_for(over)

    def _cut(self) -> Chunk:
        events: list[Stored] = []
        entries: list[Batch] = []
        while self._batches and len(events) < CHUNK_EVENTS:
            batch = self._batches.popleft()
            entries.append(batch)
            start = max(batch.first, self._after + 1)
            records = batch.records[start - batch.first :][: CHUNK_EVENTS - len(events)]
            events += [Stored(start + i, batch.time_us, record) for i, record in enumerate(records)]
            self._after = events[-1].position
            if self._after < batch.last:
                self._batches.appendleft(batch)
        self._events -= len(events)
        return Chunk(events, entries)

    async def _pump(self) -> None:
        try:
            last = self._after
            async for batches in self._reader.tail(self._after):
                async with self._changed:
                    if not self._events:
                        self._since = asyncio.get_running_loop().time()
                    for batch in batches:
                        self._events += batch.last - max(last, batch.first - 1)
                        last = batch.last
                    self._batches.extend(batches)
                    self._changed.notify_all()
                    await self._changed.wait_for(lambda: self._events < AHEAD_EVENTS)
                await asyncio.sleep(READ_EVERY_S)
        except Exception as error:  # handed to whoever takes
            async with self._changed:
                self._failure = error
                self._changed.notify_all()

    async def _watch(self) -> None:
        await self._stop.wait()
        async with self._changed:
            self._changed.notify_all()
