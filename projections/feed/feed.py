"""The feed: follows the log and delivers its events to all subscribers of a process.

It reads the log, never Postgres, and only while there are subscribers. An event is decoded and
encoded once, however many receive it. A slow socket delays no other. Events that can no longer be
delivered are announced by `{"event":"notice","recovered":false}`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog

from events.log import EventLog, Stored
from events.telemetry.server_clock import now_us as server_now_us
from projections.feed.cursors import cursor_prefix
from projections.feed.frames import Frame, FrameEncoder
from projections.feed.history_reader import Archive, HistoryReader
from projections.feed.log_tail import EPOCH_CHANGED, Gap, LogTail
from projections.feed.order_follower import Follower, ends
from projections.feed.subscription import HIGH_BYTES, PART, SLOW, Filter, Sink, Subscription
from projections.views.formats import timestamp

RECENT = 4096
"""Events kept in memory, at most twice as many: a short reconnect is served without Redis."""

LINGER_S = 5.0
"""How long the log is followed after the last subscriber left."""

RESTART_S = 1.0
"""Wait after an unexpected error."""

WRITES_PER_TURN = 128
"""Writes (~8 µs each) before other tasks get a turn of the loop."""

FOLLOWER_BYTES = 4 * HIGH_BYTES
"""Unsent bytes at which a socket that follows single orders is closed."""

RESTART = 1012
"""Close code: reconnect at once."""


class Feed:
    """The fan-out. `ready()` is awaited before a Subscription or a Follower is created."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        *,
        heartbeat_ms: int = 5000,
        slow_s: float = 5.0,
        explorer: str = "",
    ) -> None:
        self.past = HistoryReader(log, archive)
        self.slow_s = slow_s
        """How long a socket may take to drain its unsent bytes."""
        self._log = log
        self._tail = LogTail(log, self.past, block_ms=min(1000, heartbeat_ms))
        self._explorer = explorer
        self._heartbeat_s = heartbeat_ms / 1000
        self._recent: list[Frame] = []
        self._live: dict[tuple[Filter, FrameEncoder], set[Subscription]] = {}
        self._subscriptions: set[Subscription] = set()
        self._followers: dict[str, set[Follower]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()
        """Held while frames are written, so that a heartbeat never overtakes them."""
        self._needed_until = 0.0

    @property
    def position(self) -> int:
        """Everything up to here was delivered."""
        return self._tail.position

    @property
    def epoch(self) -> int:
        """The epoch of the log."""
        return self._log.epoch

    @property
    def common_position(self) -> int:
        """The greatest position that is valid in the epoch before as well."""
        return min(self.position, self._log.base or self.position)

    @property
    def running(self) -> bool:
        """Whether the log is being followed."""
        return bool(self._tasks)

    # -- life ----------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Follows the log from now on, for at least LINGER_S. Raises LogError.

        A subscriber calls it after it was registered and before it reads history: a feed that had
        stopped resumes at the end of the log, past what the subscriber would read.
        """
        self._needed_until = asyncio.get_running_loop().time() + LINGER_S
        async with self._starting:
            if self._tasks:
                return
            await self._tail.start()
            self._recent = []
            async for stored in self._tail.newest(RECENT):
                self._keep(self.frames(stored))
            self._tasks = [
                asyncio.create_task(self._follow(), name="feed"),
                asyncio.create_task(self._heartbeats(), name="heartbeats"),
            ]

    async def close(self) -> None:
        """Stops following and closes the connections."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tail.close()
        await self.past.close()

    def _needed(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._subscriptions or self._followers:
            self._needed_until = now + LINGER_S
            return True
        return now < self._needed_until

    # -- subscribers ---------------------------------------------------------------------------

    def attach(self, subscription: Subscription) -> None:
        """Registers a subscriber, which catches up by itself and then joins."""
        self._subscriptions.add(subscription)

    def join(self, subscription: Subscription) -> None:
        """Makes a subscriber live; its cursor is the feed's position."""
        assert subscription.cursor == self.position
        subscription.live = True
        self._live.setdefault(_group(subscription), set()).add(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Stops sending live events to a subscriber."""
        subscription.live = False
        if members := self._live.get(_group(subscription)):
            members.discard(subscription)
            if not members:
                del self._live[_group(subscription)]

    def detach(self, subscription: Subscription) -> None:
        """Removes a subscriber."""
        self.leave(subscription)
        self._subscriptions.discard(subscription)

    def follow(self, follower: Follower) -> None:
        """Registers a follower of one order."""
        self._followers.setdefault(follower.order_id, set()).add(follower)

    def unfollow(self, follower: Follower) -> None:
        """Removes a follower."""
        if followers := self._followers.get(follower.order_id):
            followers.discard(follower)
            if not followers:
                del self._followers[follower.order_id]

    # -- frames --------------------------------------------------------------------------------

    def frames(self, stored: Sequence[Stored]) -> list[Frame]:
        """Events as frames, which are decoded and encoded on first use."""
        prefix = cursor_prefix(self.epoch, self._log.partition)
        return [Frame(event, prefix, self._explorer) for event in stored]

    def recent(self, after: int) -> list[Frame] | None:
        """The frames delivered after a position; None where they are no longer in memory."""
        if after >= self.position:
            return []
        first = self._recent[0].position if self._recent else self.position + 1
        return self._recent[after + 1 - first :] if after + 1 >= first else None

    async def head(self) -> int:
        """The newest position of the log. Raises LogError."""
        return max(self.position, await self._log.position())

    def position_fields(self, position: int) -> dict[str, Any]:
        """The fields of a message that name a position."""
        prefix = cursor_prefix(self.epoch, self._log.partition)
        return {
            "position": position,
            "cursor": f"{prefix}{position}",
            "timestamp": timestamp(server_now_us()),
        }

    # -- following -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        while self._needed():
            try:
                async with contextlib.aclosing(self._tail.pages(self._needed)) as pages:
                    async for page in pages:
                        if isinstance(page, Gap):
                            await self._notify_gap(page)
                        else:
                            await self._deliver(page)
            except Exception:
                # Without this, a bug would leave every subscriber waiting in silence.
                structlog.get_logger().exception("feed_restarted", position=self.position)
                await asyncio.sleep(RESTART_S)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _notify_gap(self, gap: Gap) -> None:
        """Announces a gap to the followers, and to the subscribers past it.

        Where the log was `replaced`, subscribers before `resume_after` are told as well.
        """
        async with self._turn:
            self._tail.advance(gap.resume_after)
            self._recent = []
            for subscription in tuple(self._subscriptions):
                if subscription.live or subscription.cursor > gap.resume_after:
                    subscription.lose(gap.resume_after, gap.code)
                elif gap.replaced and subscription.cursor:
                    subscription.lose(subscription.cursor, gap.code)
            notice: dict[str, Any] = {"event": "notice", "code": gap.code, "recovered": False}
            notice |= self.position_fields(gap.resume_after)
            sinks = {follower.sink for group in self._followers.values() for follower in group}
            for sink in sinks:
                sink.write(sink.medium.notice(notice))
            if gap.code == EPOCH_CHANGED:  # events of an order may be void: its followers restart
                for sink in sinks:
                    sink.close(RESTART, "the log was rebuilt: follow again")

    # -- delivery ------------------------------------------------------------------------------

    async def _deliver(self, stored: Sequence[Stored]) -> None:
        for start in range(0, len(stored), PART):
            if start:
                await asyncio.sleep(0)  # the sockets send the last part
            part = self.frames(stored[start : start + PART])
            async with self._turn:
                await self._deliver_part(part)

    async def _deliver_part(self, part: list[Frame]) -> None:
        before, newest = self.position, part[-1]
        self._tail.advance(newest.position, newest.record.hash)
        self._keep(part)
        # A subscriber that joins from here on has this part, so the members are copied now.
        groups = [(group, tuple(members)) for group, members in self._live.items()]
        if self._followers:
            self._write_to_followers(part)
        writes = 0
        for (filters, medium), members in groups:
            data = filters.join(part, medium)
            if not data:
                continue
            for member in members:
                if member.live:
                    member.take(data, before)
                writes += 1
                if writes % WRITES_PER_TURN == 0:
                    await asyncio.sleep(0)

    def _keep(self, part: list[Frame]) -> None:
        self._recent += part
        if len(self._recent) > 2 * RECENT:
            del self._recent[:-RECENT]

    def _write_to_followers(self, part: list[Frame]) -> None:
        written: dict[Sink, list[bytes]] = {}
        over: list[Follower] = []
        for frame in part:
            for follower in tuple(self._followers.get(frame.envelope.order_id, ())):
                if follower.wants(frame):
                    written.setdefault(follower.sink, []).append(follower.sink.medium.event(frame))
                    if ends(frame):
                        over.append(follower)
        for sink, frames in written.items():
            sink.write(b"".join(frames))
            if sink.backlog() > FOLLOWER_BYTES:
                sink.close(SLOW, "too slow: follow again")
        for follower in over:
            follower.end()

    # -- heartbeats ----------------------------------------------------------------------------

    async def _heartbeats(self) -> None:
        head = self.position
        while True:
            await asyncio.sleep(self._heartbeat_s)
            newest = await self._tail.head()
            head = head if newest is None else newest
            async with self._turn:
                self._beat(head, newest is not None)

    def _beat(self, head: int, known: bool) -> None:
        """Writes to each subscriber its position and the newest one of the log."""
        about = {"event": "heartbeat", "head": head}
        if not known:
            about["log"] = "unavailable"
        place, live = about | self.position_fields(self.position), dict[FrameEncoder, bytes]()
        for subscription in self._subscriptions:
            medium = subscription.sink.medium
            if subscription.live:
                if medium not in live:
                    live[medium] = medium.beat(place)
                subscription.sink.write(live[medium])
            elif subscription.sink.backlog() <= HIGH_BYTES:
                subscription.sink.write(
                    medium.beat(about | self.position_fields(subscription.cursor))
                )


def _group(subscription: Subscription) -> tuple[Filter, FrameEncoder]:
    """The key of the subscribers that receive the same bytes."""
    return subscription.filters, subscription.sink.medium
