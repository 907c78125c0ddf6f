"""A subscriber to all events: first past ones, then live, in order, without gaps or duplicates.

Nothing is buffered to join the two: a subscriber reads until its cursor is the feed's position, and
joins the feed in the same turn of the loop. A subscriber whose socket does not keep up leaves the
live group, continues at its own pace, and is closed once it is too slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from events.archive import ArchiveUnavailable
from events.ids import ENGINE_STREAM_ID, SYSTEM_STREAM_IDS
from events.log import LogError, Stored
from projections.feed.cursors import Cursor
from projections.feed.frames import Frame, FrameEncoder
from projections.feed.history_reader import HistoryGap, HistoryReader

PART = 128
"""Events joined into one write. Every socket gets a part before any gets the next one."""

HIGH_BYTES = 256 * 1024
"""A socket with more unsent bytes than this is behind. Above PART frames of the usual 600 B."""

LOW_BYTES = 64 * 1024
"""A socket that was behind gets more once its unsent bytes are below this."""

SLOW = 4408
"""Close code: reconnect and resume from the last cursor."""

RETRY_S = 0.1


class Sink(Protocol):
    """The socket of a subscriber. No call blocks."""

    closed: bool

    @property
    def medium(self) -> FrameEncoder:
        """The encoding of what is written to it."""
        ...

    def write(self, frames: bytes) -> None:
        """Sends whole messages of its medium."""
        ...

    def backlog(self) -> int:
        """Unsent bytes."""
        ...

    def received(self) -> int:
        """Bytes that the client has got."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Closes after what was written."""
        ...


class Source(Protocol):
    """What a subscriber needs of the feed."""

    @property
    def past(self) -> HistoryReader:
        """Past events."""
        ...

    @property
    def position(self) -> int:
        """Everything up to here was delivered."""
        ...

    @property
    def common_position(self) -> int:
        """The greatest position that is valid in the epoch before as well."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch of the log."""
        ...

    @property
    def slow_s(self) -> float:
        """How long a socket with unsent bytes may receive nothing."""
        ...

    async def ready(self) -> None:
        """Follows the log from now on. Raises LogError."""
        ...

    async def head(self) -> int:
        """The newest position of the log. Raises LogError."""
        ...

    def attach(self, subscription: Subscription) -> None:
        """Registers a subscriber."""
        ...

    def join(self, subscription: Subscription) -> None:
        """Makes a subscriber live; its cursor is the feed's position."""
        ...

    def leave(self, subscription: Subscription) -> None:
        """Stops sending live events to a subscriber."""
        ...

    def detach(self, subscription: Subscription) -> None:
        """Removes a subscriber."""
        ...

    def frames(self, stored: Sequence[Stored]) -> list[Frame]:
        """Events as frames."""
        ...

    def recent(self, after: int) -> list[Frame] | None:
        """The frames delivered after a position; None where they are no longer in memory."""
        ...

    def position_fields(self, position: int) -> dict[str, Any]:
        """The fields of a message that name a position."""
        ...


class Filter(NamedTuple):
    """Which events a subscriber receives; an empty set passes everything."""

    account: str | None
    """Only orders of this account, and halts, which concern all accounts; None: all accounts."""
    events: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    order_ids: frozenset[str] = frozenset()

    def passes(self, frame: Frame) -> bool:
        """Whether the subscriber receives the frame."""
        return (
            (self.account is None or _concerns(frame, self.account))
            and (not self.order_ids or frame.envelope.order_id in self.order_ids)
            and (not self.events or frame.name in self.events)
            and (not self.statuses or frame.status in self.statuses)
        )

    def join(self, frames: Sequence[Frame], medium: FrameEncoder) -> bytes:
        """The frames that pass, as one write."""
        if self == EVERYTHING:
            return b"".join([medium.event(frame) for frame in frames])
        return b"".join([medium.event(frame) for frame in frames if self.passes(frame)])


EVERYTHING = Filter(None)


def _concerns(frame: Frame, account: str) -> bool:
    envelope = frame.envelope
    if envelope.order_id in SYSTEM_STREAM_IDS:
        return envelope.order_id == ENGINE_STREAM_ID
    return envelope.account == account


class Subscription:
    """One subscriber. Its owner runs `run` as a task and cancels it with the socket."""

    def __init__(
        self, feed: Source, sink: Sink, filters: Filter, after: Cursor | None = None
    ) -> None:
        self.feed = feed
        self.sink = sink
        self.filters = filters
        self.live = False
        self.cursor = feed.position if after is None else after.position
        """Everything up to here was delivered, while it is not live."""
        self._after = after
        self._behind = asyncio.Event()

    @property
    def delivered(self) -> int:
        """Every event that passes, up to this position, was written."""
        return self.feed.position if self.live else self.cursor

    async def run(self) -> None:
        """Delivers until the socket is closed."""
        self.feed.attach(self)
        try:
            await self._awake()
            await self._check_start()
            while not self.sink.closed:
                await self._catch_up()
                await self._behind.wait()
                self._behind.clear()
                await self._drain()
        finally:
            self.feed.detach(self)

    async def _awake(self) -> None:
        """Makes the feed follow the log: it may have stopped since it was made ready."""
        while not self.sink.closed:
            try:
                await self.feed.ready()
                break
            except LogError:
                await asyncio.sleep(RETRY_S)

    def take(self, data: bytes, before: int) -> None:
        """Writes live frames, or leaves the live group where the socket is behind."""
        if self.sink.backlog() > HIGH_BYTES:
            self.feed.leave(self)
            self.cursor = before
            self._behind.set()
        else:
            self.sink.write(data)

    def lose(self, resume_after: int, code: str) -> None:
        """Announces that events are lost, and continues after them."""
        self.cursor = resume_after
        notice = {"event": "notice", "code": code, "recovered": False}
        self.sink.write(self.sink.medium.notice(notice | self.feed.position_fields(resume_after)))

    async def _check_start(self) -> None:
        after = self._after
        if after is None:
            return
        if after.epoch is not None and after.epoch != self.feed.epoch:
            self.lose(min(after.position, self.feed.common_position), "epoch-changed")
        elif after.position > self.feed.position and after.position > await self._head():
            self.lose(self.feed.position, "ahead-of-log")

    async def _head(self) -> int:
        while True:
            try:
                return await self.feed.head()
            except LogError:
                await asyncio.sleep(RETRY_S)

    async def _catch_up(self) -> None:
        while not self.sink.closed:
            recent = self.feed.recent(self.cursor)
            if recent is None:
                await self._go_back()
            elif len(recent) <= PART and self.cursor <= self.feed.position:
                self._emit(recent)
                self.feed.join(self)
                return
            elif recent:
                self._emit(recent[:PART])
            else:  # ahead of the feed, which is about to come here
                await asyncio.sleep(RETRY_S / 10)
            await self._drain()

    async def _go_back(self) -> None:
        """Delivers one page of past events."""
        asked = self.cursor
        try:
            page, through = await self._page(asked)
        except HistoryGap as gap:
            self.lose(gap.resume_after, "events-lost")
        except (LogError, ArchiveUnavailable):
            await asyncio.sleep(RETRY_S)
        else:
            # The feed may have announced meanwhile that this page is of a lost log.
            for start in range(0, len(page), PART):
                if self.cursor != asked or self.sink.closed:
                    return
                self._emit(self.feed.frames(page[start : start + PART]))
                asked = self.cursor
                await self._drain()
            if self.cursor == asked:
                self.cursor = max(asked, through)
            if not page and through <= asked:
                await asyncio.sleep(RETRY_S / 10)

    async def _page(self, after: int) -> tuple[list[Stored], int]:
        """The next events, and the position up to which they are all that pass the filter."""
        past = self.feed.past
        if not self.filters.order_ids:
            return await past.page(after), 0
        # A head loaded now has every event of its order up to the feed's position now.
        through = self.feed.position
        account = self.filters.account
        events = [
            stored
            for order_id in self.filters.order_ids
            # Not even damage of an order of another account may show.
            if account is None or await past.owns(account, order_id)
            for stored in await past.order(order_id)
        ]
        matching = [stored for stored in events if after < stored.position <= through]
        return sorted(matching, key=lambda stored: stored.position), through

    def _emit(self, frames: Sequence[Frame]) -> None:
        if frames:
            if data := self.filters.join(frames, self.sink.medium):
                self.sink.write(data)
            self.cursor = frames[-1].position

    async def _drain(self) -> None:
        """Waits until most unsent bytes are sent; closes a socket that receives nothing more.

        A slow client is served at its own pace: bytes that it receives show that it lives.
        """
        await asyncio.sleep(0)
        if self.sink.backlog() <= HIGH_BYTES:
            return
        loop = asyncio.get_running_loop()
        deadline, received = loop.time() + self.feed.slow_s, self.sink.received()
        while self.sink.backlog() > LOW_BYTES and not self.sink.closed:
            if (now := self.sink.received()) > received:
                deadline, received = loop.time() + self.feed.slow_s, now
            elif loop.time() > deadline:
                self.sink.close(SLOW, "too slow: resume from the last cursor")
                return
            await asyncio.sleep(0.005)
