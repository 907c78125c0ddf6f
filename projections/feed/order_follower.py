"""A follower of one order: its history, then its live events, until the order ends.

It is registered before its history is read; live events wait meanwhile. The versions of an order
have no gaps, so that a missing one is noticed and fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from events.archive import ArchiveUnavailable
from events.log import LogError, Stored
from events.types import TERMINAL
from projections.feed.frames import Frame
from projections.feed.history_reader import HistoryGap, HistoryReader
from projections.feed.subscription import Sink

TRY_LATER = 1013
"""Close code: the same request may succeed later."""


class Source(Protocol):
    """What a follower needs of the feed."""

    @property
    def past(self) -> HistoryReader:
        """Past events."""
        ...

    def follow(self, follower: Follower) -> None:
        """Registers a follower."""
        ...

    def unfollow(self, follower: Follower) -> None:
        """Removes a follower."""
        ...

    async def ready(self) -> None:
        """Follows the log from now on. Raises LogError."""
        ...

    def frames(self, stored: Sequence[Stored]) -> list[Frame]:
        """Events as frames."""
        ...


class Follower:
    """One order on one socket. `ended` is called after its last frame was written.

    `after`: the position up to which the client has the history. The caller checks that the client
    may see the order.
    """

    def __init__(
        self,
        feed: Source,
        sink: Sink,
        order_id: str,
        ended: Callable[[Follower], None],
        after: int = 0,
    ) -> None:
        self.feed = feed
        self.sink = sink
        self.order_id = order_id
        self.ended = ended
        self.version = 0
        """Of the last frame written."""
        self._after = after
        self._waiting: list[Frame] | None = None
        self._refill: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Writes the history and goes live; False for an unknown order.

        Raises LogError, ArchiveUnavailable or HistoryGap, and is then not registered.
        """
        self._waiting = []
        self.feed.follow(self)
        try:
            await self.feed.ready()  # it may have stopped since nothing subscribed
            known = await self._history()
        except BaseException:
            self.feed.unfollow(self)
            raise
        if not known:
            self.feed.unfollow(self)
        return known

    async def _history(self) -> bool:
        stored = await self.feed.past.order(self.order_id)
        frames = self.feed.frames(stored)
        waiting, self._waiting = self._waiting or [], None
        fresh = [frame for frame in (*frames, *waiting) if self.wants(frame)]
        if fresh:
            event = self.sink.medium.event
            self.sink.write(b"".join([event(f) for f in fresh if f.position > self._after]))
            if ends(fresh[-1]):
                self.end()
        return bool(frames)

    async def _fetch_missing(self) -> None:
        try:
            await self._history()
        except (LogError, ArchiveUnavailable, HistoryGap):
            self.sink.close(TRY_LATER, "part of the history cannot be read now")

    def wants(self, frame: Frame) -> bool:
        """Whether the frame is the next one. An early one is kept and the missing ones fetched; an
        old one is dropped.
        """
        if self._waiting is not None:
            self._waiting.append(frame)
            return False
        version = frame.envelope.version
        if version > self.version + 1:
            self._waiting = [frame]
            self._refill = asyncio.create_task(self._fetch_missing(), name="refill")
            return False
        if version <= self.version:
            return False
        self.version = version
        return True

    def end(self) -> None:
        """Unregisters after the last frame."""
        self.leave()
        self.ended(self)

    def leave(self) -> None:
        """Unregisters, also before the order ended."""
        self.feed.unfollow(self)
        if self._refill is not None and self._refill is not asyncio.current_task():
            self._refill.cancel()


def ends(frame: Frame) -> bool:
    """Whether the frame is the last one of its order."""
    return frame.status in TERMINAL
