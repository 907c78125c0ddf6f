"""The feed: follows the log and hands every event to whoever wants it.

One feed a process. It reads the log itself, never Postgres, and only while somebody listens. An
event is decoded and encoded once, whoever gets it; a socket gets many at once; nobody waits for
the slowest. What it cannot give any more it says: `{"event":"notice","recovered":false}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any, assert_never

import structlog

from events.archive import ArchiveUnavailable
from events.log import (
    Continuity,
    EventLog,
    LogError,
    LogIdentity,
    LogTruncated,
    Missing,
    Stored,
    check_continuity,
)
from projections.feed.cursors import cursor_prefix
from projections.feed.frames import Frame, FrameEncoder
from projections.feed.history_reader import Archive, HistoryGap, HistoryReader, flatten
from projections.feed.order_follower import Follower, ends
from projections.feed.subscription import HIGH_BYTES, PART, SLOW, Filter, Sink, Subscription
from projections.views.formats import timestamp

RECENT = 4096
"""Events kept at hand (at most twice as many): those who were away shortly need no Redis."""

LINGER_S = 5.0
"""How long the log is followed on after the last subscriber left."""

WRITES_PER_TURN = 128
"""Writes (~8 µs each) until others get their turn of the loop."""

FOLLOWER_BYTES = 4 * HIGH_BYTES
"""What a socket that follows single orders may hold back until it is cut."""


RESTART = 1012
"""Close code: come back at once."""


class Feed:
    """The fan-out. `await ready()` before making a Subscription or Follower."""

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
        """How long a socket may take to take what it holds back."""
        self.position = 0
        """Everything up to here was handed out."""
        self._log = log
        self._explorer = explorer
        self._reader = log.reader("feed")
        self._heartbeat_s = heartbeat_ms / 1000
        self._block_ms = min(1000, heartbeat_ms)
        self._recent: list[Frame] = []
        self._last_hash: bytes | None = None
        self._live: dict[tuple[Filter, FrameEncoder], set[Subscription]] = {}
        self._subscriptions: set[Subscription] = set()
        self._followers: dict[str, set[Follower]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()
        """Held while frames go out, so that a heartbeat never overtakes them."""
        self._followed_until = 0.0
        self._doubt = False
        self._epoch = 0
        """Of the log whose `position` this is."""

    @property
    def epoch(self) -> int:
        """Of the log."""
        return self._log.epoch

    @property
    def common_position(self) -> int:
        """Up to here at most, another epoch has what this one has."""
        return min(self.position, self._log.base or self.position)

    @property
    def running(self) -> bool:
        """Whether the log is being followed."""
        return bool(self._tasks)

    # -- life ----------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Follows the log from now on, for at least a moment. Raises LogError.

        Whoever is attached or registered calls it before looking at what there is: the feed may
        have stopped since, and would begin again further on than where they look.
        """
        self._followed_until = asyncio.get_running_loop().time() + LINGER_S
        async with self._starting:
            if self._tasks:
                return
            self.position, self._epoch = await self._log.position(), self.epoch
            self._recent, self._last_hash = [], None
            await self._look_back()
            self._tasks = [
                asyncio.create_task(self._follow(), name="feed"),
                asyncio.create_task(self._heartbeats(), name="heartbeats"),
            ]

    async def _look_back(self) -> None:
        """Has the newest events at hand, for all those who come back at once after a restart."""
        after = max(0, self.position - RECENT)
        with contextlib.suppress(LogTruncated):
            while batches := await self._reader.read(after):
                stored = [s for s in flatten(batches, after) if s.position <= self.position]
                if not stored:
                    break
                self._keep(self.frames(stored))
                after = stored[-1].position

    async def close(self) -> None:
        """Stops following and closes the connections."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._reader.close()
        await self.past.close()

    def _has_followers(self) -> bool:
        if self._subscriptions or self._followers:
            self._followed_until = asyncio.get_running_loop().time() + LINGER_S
            return True
        return asyncio.get_running_loop().time() < self._followed_until

    # -- who listens ---------------------------------------------------------------------------

    def attach(self, subscription: Subscription) -> None:
        """Counts a subscriber, which catches up by itself and then joins."""
        self._subscriptions.add(subscription)

    def join(self, subscription: Subscription) -> None:
        """Makes a subscriber live. It stands where the feed stands."""
        assert subscription.cursor == self.position
        subscription.live = True
        self._live.setdefault(_group(subscription), set()).add(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Ends being live."""
        subscription.live = False
        if members := self._live.get(_group(subscription)):
            members.discard(subscription)
            if not members:
                del self._live[_group(subscription)]

    def detach(self, subscription: Subscription) -> None:
        """Forgets a subscriber."""
        self.leave(subscription)
        self._subscriptions.discard(subscription)

    def follow(self, follower: Follower) -> None:
        """Registers a follower of one order."""
        self._followers.setdefault(follower.order_id, set()).add(follower)

    def unfollow(self, follower: Follower) -> None:
        """Forgets a follower."""
        if followers := self._followers.get(follower.order_id):
            followers.discard(follower)
            if not followers:
                del self._followers[follower.order_id]

    # -- what there is -------------------------------------------------------------------------

    def frames(self, stored: Sequence[Stored]) -> list[Frame]:
        """Events as frames, which cost nothing until somebody wants them."""
        prefix = cursor_prefix(self.epoch, self._log.partition)
        return [Frame(event, prefix, self._explorer) for event in stored]

    def recent(self, after: int) -> list[Frame] | None:
        """What was handed out after a position; None where that reaches too far back."""
        if after >= self.position:
            return []
        first = self._recent[0].position if self._recent else self.position + 1
        return self._recent[after + 1 - first :] if after + 1 >= first else None

    async def head(self) -> int:
        """The newest position of the log. Raises LogError."""
        return max(self.position, await self._log.position())

    def position_fields(self, position: int) -> dict[str, Any]:
        """The fields that name a place."""
        prefix = cursor_prefix(self.epoch, self._log.partition)
        return {
            "position": position,
            "cursor": f"{prefix}{position}",
            "timestamp": timestamp(time.time_ns() // 1000),
        }

    # -- following -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        delay_s = 0.05
        while self._has_followers():
            try:
                await self._check_log()
                async with contextlib.aclosing(
                    self._reader.tail(self.position, block_ms=self._block_ms)
                ) as tail:
                    async for batches in tail:
                        if self._epoch_changed():
                            break
                        delay_s = 0.05
                        await self._hand_out(flatten(batches, self.position))
                        if self._doubt or not self._has_followers():
                            break
            except LogTruncated:
                await self._catch_up_from_archive()
            except LogError:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 1.0)
            except Exception:
                # A bug must not leave everybody waiting for ever in silence.
                structlog.get_logger().exception("the feed stumbled", position=self.position)
                await asyncio.sleep(1.0)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _epoch_changed(self) -> bool:
        """Whether what was just read may be of another epoch than what was read before."""
        return not self._log.joined or self.epoch != self._epoch

    async def _check_log(self) -> None:
        """Checks, after each reconnect, that the log is the one that was followed before."""
        self._doubt = False
        epoch, head = await self._log.epoch_and_position()
        if not epoch or epoch != self.epoch:
            raise Missing("the log is not there, or not opened yet")
        handed_out = Continuity(self._epoch, self.position, self._last_hash)
        match await check_continuity(handed_out, epoch, head, self._hash_at):
            case LogIdentity.EPOCH_CHANGED:
                self._epoch = epoch
                await self._notify_gap(min(self.position, self._log.base or head), "epoch-changed")
                # Events of an order may be void: its followers start again.
                for sink in {f.sink for group in self._followers.values() for f in group}:
                    sink.close(RESTART, "the log was rebuilt: follow again")
            case LogIdentity.REGRESSED:
                await self._notify_gap(head, "log-regressed")
            case LogIdentity.REPLACED:
                await self._notify_gap(head, "log-regressed", replaced=True)
            case LogIdentity.SAME | LogIdentity.TRIMMED:
                pass
            case identity:
                assert_never(identity)

    async def _hash_at(self, position: int) -> bytes | None:
        batch = await self._reader.entry_at(position)
        return None if batch is None else batch.records[position - batch.first].hash

    async def _catch_up_from_archive(self) -> None:
        """The log was trimmed past us, or is damaged here: the archive has what we missed."""
        try:
            await self._hand_out(await self.past.page(self.position))
        except HistoryGap as gap:
            await self._notify_gap(gap.resume_after, "events-lost")
        except (LogError, ArchiveUnavailable):
            await asyncio.sleep(0.5)

    async def _notify_gap(self, resume_after: int, code: str, *, replaced: bool = False) -> None:
        """Tells all whom it concerns; `replaced`: also who stands before `resume_after`, since what
        was read up to there may be of another log.
        """
        async with self._turn:
            self.position = resume_after
            self._recent, self._last_hash = [], None
            for subscription in tuple(self._subscriptions):
                if subscription.live or subscription.cursor > resume_after:
                    subscription.lose(resume_after, code)
                elif replaced and subscription.cursor:
                    subscription.lose(subscription.cursor, code)
            notice: dict[str, Any] = {"event": "notice", "code": code, "recovered": False}
            notice |= self.position_fields(resume_after)
            for sink in {f.sink for group in self._followers.values() for f in group}:
                sink.write(sink.medium.notice(notice))

    # -- handing out ---------------------------------------------------------------------------

    async def _hand_out(self, stored: Sequence[Stored]) -> None:
        for at in range(0, len(stored), PART):
            if at:
                await asyncio.sleep(0)  # lets the sockets take the last part
            part = self.frames(stored[at : at + PART])
            async with self._turn:
                await self._hand_out_part(part)

    async def _hand_out_part(self, part: list[Frame]) -> None:
        before, self.position = self.position, part[-1].position
        self._last_hash = part[-1].record.hash
        self._keep(part)
        # Whoever joins from here on already has this part, so the members are taken now.
        groups = [(group, tuple(members)) for group, members in self._live.items()]
        if self._followers:
            self._tell_followers(part)
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

    def _tell_followers(self, part: list[Frame]) -> None:
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
            known = True
            try:
                epoch, newest = await self._log.epoch_and_position()
                known = epoch == self._epoch
                self._doubt = self._doubt or not known or newest < self.position
                head = newest if known else head
            except LogError:
                known = False
            async with self._turn:
                self._beat(head, known)

    def _beat(self, head: int, known: bool) -> None:
        """Says how far each subscriber has been served, and how far the log has come."""
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
    """Those who get the same bytes."""
    return subscription.filters, subscription.sink.medium
