"""The feed: gap-free, in order and without duplicates, whatever happens to log and archive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from events.log import EventLog, Stored
from projections.feed import feed as feeds
from projections.feed.cursors import Cursor
from projections.feed.feed import FOLLOWER_BYTES, Feed
from projections.feed.frames import WEBSOCKET, Frame
from projections.feed.history_reader import HistoryGap, HistoryReader
from projections.feed.log_tail import Gap
from projections.feed.order_follower import Follower
from projections.feed.subscription import HIGH_BYTES, Filter, Subscription
from tests.support.http.served import MemoryArchive
from tests.support.log.played import Play, after_submission
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, pace, until


class Page:
    """A socket that remembers what it was sent, and takes it as fast as told to."""

    medium = WEBSOCKET

    def __init__(self) -> None:
        self.closed = False
        self.code = 0
        self.held_back = 0
        self.step = self.total = 0
        self.data = b""
        self.writes = 0

    def write(self, frames: bytes) -> None:
        if not self.closed:
            self.data += frames
            self.writes += 1

    def backlog(self) -> int:
        return self.held_back

    def received(self) -> int:
        self.total += self.step
        return self.total

    def close(self, code: int, _: str) -> None:
        self.closed, self.code = True, code

    @property
    def frames(self) -> list[dict[str, Any]]:
        """All frames but heartbeats."""
        result, data = [], self.data
        while data:
            size, at = data[1], 2
            if size == 126:
                size, at = int.from_bytes(data[2:4]), 4
            result.append(json.loads(data[at : at + size]))
            data = data[at + size :]
        return [frame for frame in result if frame["event"] != "heartbeat"]

    @property
    def positions(self) -> list[int]:
        return [frame["position"] for frame in self.frames if frame["event"] != "notice"]

    def reached(self, position: int) -> bool:
        return self.positions[-1:] == [position]

    @property
    def notices(self) -> list[str]:
        return [frame["code"] for frame in self.frames if frame["event"] == "notice"]


class FeedHarness:
    """A feed, its log, and subscribers to it."""

    def __init__(self, log: EventLog, archive: MemoryArchive, feed: Feed) -> None:
        self.log = log
        self.archive = archive
        self.feed = feed
        self.play = Play(log)
        self.running: list[asyncio.Task[None]] = []

    async def subscribe(
        self,
        after: int | Cursor | None = None,
        value: Filter | None = None,
        page: Page | None = None,
    ) -> Page:
        await self.feed.ready()
        page = page or Page()
        cursor = Cursor(after) if isinstance(after, int) else after
        subscription = Subscription(self.feed, page, value or Filter(None), cursor)
        self.running.append(asyncio.create_task(subscription.run()))
        return page

    async def trim(self) -> None:
        """Forgets the whole live log; the archive has it."""
        await self.archive.take(self.log)
        async with redis.asyncio.from_url(self.log.url.reveal()) as client:
            last = await self.log.position()
            await client.xtrim(self.log.keys.log, minid=f"{last + 1}-0", approximate=False)

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.feed.close()


@pytest.fixture
async def harness(redis_url: str) -> AsyncIterator[FeedHarness]:
    log, archive = EventLog(redis_url, build="test"), MemoryArchive()
    await log.open()
    feed_harness = FeedHarness(log, archive, Feed(log, archive, heartbeat_ms=100, slow_s=HANG_S))
    yield feed_harness
    await feed_harness.stop()
    await log.close()


def through(last: int, after: int = 0) -> list[int]:
    return list(range(after + 1, last + 1))


async def test_resuming_from_each_position_across_the_seam_of_archive_and_log(
    harness: FeedHarness,
) -> None:
    await harness.play.live(4)  # 24 events in the archive only
    await harness.trim()
    await harness.play.live(3)  # 18 in the log
    pages = {after: await harness.subscribe(after) for after in range(43)}
    await harness.play.create(2)  # live
    for after, page in pages.items():
        await until(partial(page.reached, 44))
        assert page.positions == through(44, after), after


async def test_a_subscriber_resumes_from_each_buffered_position(harness: FeedHarness) -> None:
    await harness.play.live(3)
    pages = {after: await harness.subscribe(after) for after in range(19)}
    await harness.play.create(2)
    for after, page in pages.items():
        await until(partial(page.reached, 20))
        assert page.positions == through(20, after), after


async def test_a_subscriber_that_joins_under_load_gets_everything_once(
    harness: FeedHarness,
) -> None:
    async def write() -> None:
        for _ in range(60):
            await harness.play.live(3)

    writing = asyncio.create_task(write())
    pages = []
    for _ in range(20):
        pages.append(await harness.subscribe(0))
        await pace(0.01)
    await writing
    for page in pages:
        await until(partial(page.reached, 1080))
        assert page.positions == through(1080)


class Usher(Page):
    """While it is written to, it lets others in, once."""

    def __init__(self, let_in: Callable[[], None]) -> None:
        super().__init__()
        self.let_in: Callable[[], None] | None = let_in

    def write(self, frames: bytes) -> None:
        super().write(frames)
        if self.let_in is not None and len(self.positions) == 2:
            let_in, self.let_in = self.let_in, None
            let_in()


async def test_a_subscriber_that_joins_during_a_delivery_gets_no_frame_twice(
    harness: FeedHarness,
) -> None:
    pending = Filter(None, statuses=frozenset({"pending"}))
    late = Page()

    def join() -> None:
        newcomer = Subscription(harness.feed, late, pending)
        harness.feed.attach(newcomer)
        harness.feed.join(newcomer)

    usher = await harness.subscribe(page=Usher(join))
    member = await harness.subscribe(value=pending)  # of the group that is written to next
    for number in (1, 2, 3):
        await harness.play.create()
        await until(partial(usher.reached, number))
        await until(partial(member.reached, number))
    await until(partial(late.reached, 3))
    assert late.positions == [3]


async def test_an_event_during_the_start_of_the_feed_is_delivered_once(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.play.create(3)
    position = harness.log.position

    async def overtaken() -> int:
        result = await position()
        if not harness.feed.running:
            await harness.play.create()
        return result

    monkeypatch.setattr(harness.log, "position", overtaken)
    first = await harness.subscribe(0)
    await until(partial(first.reached, 4))
    again = await harness.subscribe(1)
    await until(partial(again.reached, 4))
    assert (first.positions, again.positions) == ([1, 2, 3, 4], [2, 3, 4])


async def test_an_event_during_the_history_read_of_a_filter_is_delivered(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "RECENT", 1)
    [order_id] = await harness.play.create()
    await harness.play.create(3)  # the first event is not at hand any more
    history = harness.feed.past.order

    async def overtaken(asked: str) -> list[Stored]:
        events = await history(asked)
        await harness.play.append([order_id], after_submission()[0])
        await until(lambda: harness.feed.position == 5)
        return events

    monkeypatch.setattr(harness.feed.past, "order", overtaken)
    page = await harness.subscribe(0, Filter(None, order_ids=frozenset({order_id})))
    await until(partial(page.reached, 5))
    assert page.positions == [1, 5]


async def test_many_events_reach_a_socket_in_few_writes(harness: FeedHarness) -> None:
    page = await harness.subscribe()
    await until(lambda: bool(harness.feed._live))
    await harness.play.create(400)
    await until(lambda: len(page.positions) == 400)
    assert page.writes < 10


async def test_frames_are_encoded_once_for_all(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = 0
    real = Frame.wire.fget  # type: ignore[attr-defined]

    def counting(frame: Any) -> bytes:
        nonlocal encoded
        encoded += not frame._wire
        wire: bytes = real(frame)
        return wire

    monkeypatch.setattr(Frame, "wire", property(counting))
    pages = [await harness.subscribe() for _ in range(20)]
    await until(lambda: sum(map(len, harness.feed._live.values())) == 20)
    await harness.play.create(50)
    await until(lambda: all(len(page.positions) == 50 for page in pages))
    assert encoded == 50


async def test_the_feed_reads_nothing_without_subscribers(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER_S", 0.05)
    page = await harness.subscribe(0)
    await harness.play.create()
    await until(lambda: page.positions == [1])
    harness.running.pop().cancel()
    await until(lambda: not harness.feed.running)
    await harness.play.create(2)
    again = await harness.subscribe(1)
    await until(lambda: again.positions == [2, 3])


async def test_a_subscriber_long_after_the_start_of_the_feed_gets_every_event(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER_S", 0.05)
    await harness.feed.ready()
    await until(lambda: not harness.feed.running)
    page = Page()
    subscription = Subscription(harness.feed, page, Filter(None), Cursor(0))
    harness.running.append(asyncio.create_task(subscription.run()))
    await harness.play.create(3)
    await until(lambda: page.positions == [1, 2, 3])
    await harness.play.create()
    await until(lambda: page.positions == [1, 2, 3, 4])


async def test_a_slow_subscriber_gets_every_event_at_its_own_pace(
    harness: FeedHarness,
) -> None:
    slow, quick = await harness.subscribe(0), await harness.subscribe(0)
    await until(lambda: sum(map(len, harness.feed._live.values())) == 2)
    slow.held_back = 10**9
    await harness.play.create(300)
    await until(lambda: len(quick.positions) == 300)
    assert len(slow.positions) < 300
    slow.held_back = 0
    await until(lambda: len(slow.positions) == 300)
    await harness.play.create(5)
    await until(lambda: slow.positions == quick.positions == through(305))
    assert not slow.closed


async def test_a_subscriber_that_reads_nothing_is_closed_with_4408(harness: FeedHarness) -> None:
    harness.feed.slow_s = 0.05
    slow = await harness.subscribe(0)
    await until(lambda: bool(harness.feed._live))
    slow.held_back = 10**9
    await harness.play.create(10)
    await until(lambda: slow.closed)
    assert slow.code == 4408


async def test_a_subscriber_that_receives_slowly_is_not_closed(harness: FeedHarness) -> None:
    harness.feed.slow_s = 0.05
    slow = await harness.subscribe(0)
    await until(lambda: bool(harness.feed._live))
    slow.held_back, slow.step = 10**9, 1
    await harness.play.create(10)
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > 5 * harness.feed.slow_s)
    assert not slow.closed
    slow.step = 0
    await until(lambda: slow.closed)
    assert slow.code == 4408


async def test_an_outage_of_the_log_is_waited_out_without_gaps(redis_url: str) -> None:
    direct = EventLog(redis_url, build="test")
    await direct.open()
    play = Play(direct)
    async with proxied(redis_url) as proxy:
        log = EventLog(proxy.url, build="feed")
        await log.open()
        harness = FeedHarness(log, MemoryArchive(), Feed(log, MemoryArchive(), heartbeat_ms=50))
        page = await harness.subscribe(0)
        for mode in ("refuse", "pass", "refuse", "pass"):
            await play.live(2)
            proxy.cut(mode)
            await pace(0.1)
        await until(lambda: len(page.positions) == 48)
        assert page.positions == through(48)
        assert not page.notices
        await harness.stop()
        await log.close()
    await direct.close()


async def test_events_trimmed_during_an_outage_come_from_the_archive(redis_url: str) -> None:
    direct, archive = EventLog(redis_url, build="test"), MemoryArchive()
    await direct.open()
    async with proxied(redis_url) as proxy:
        log = EventLog(proxy.url, build="feed")
        await log.open()
        harness = FeedHarness(direct, archive, Feed(log, archive, heartbeat_ms=50))
        page = await harness.subscribe(0)
        await harness.play.live(1)
        await until(lambda: len(page.positions) == 6)
        proxy.cut("refuse")
        await harness.play.live(2)
        await harness.trim()
        await harness.play.live(1)
        proxy.cut("pass")
        await until(lambda: len(page.positions) == 24)
        assert page.positions == through(24)
        assert not page.notices
        await harness.stop()
        await log.close()
    await direct.close()


async def test_events_without_any_copy_are_a_notice_and_the_feed_continues(
    harness: FeedHarness,
) -> None:
    await harness.play.live(1)
    stored = harness.archive.stored
    await harness.trim()
    stored.clear()
    await harness.play.create()
    page = await harness.subscribe(2)
    await until(lambda: page.positions == [7])
    assert page.notices == ["events-lost"]
    assert page.frames[0]["recovered"] is False


async def test_a_log_that_lost_its_end_is_a_notice(harness: FeedHarness, redis_url: str) -> None:
    page = await harness.subscribe(0)
    await harness.play.live(2)
    await until(lambda: len(page.positions) == 12)
    async with redis.asyncio.from_url(redis_url) as client:
        await client.flushdb()
    await harness.log.open()
    await until(lambda: page.notices == ["log-regressed"])
    await Play(harness.log).create(2)
    await until(lambda: page.positions[12:] == [1, 2])


async def test_a_subscriber_that_catches_up_gets_a_notice_when_the_log_is_replaced(
    redis_url: str,
) -> None:
    """By one that is longer: nothing is missing, but what was read may be of the other one."""
    direct = EventLog(redis_url, build="test")
    await direct.open()
    async with proxied(redis_url) as proxy:
        log = EventLog(proxy.url, build="feed")
        await log.open()
        harness = FeedHarness(
            log, MemoryArchive(), Feed(log, MemoryArchive(), heartbeat_ms=50, slow_s=3600)
        )
        slow, live = await harness.subscribe(0), await harness.subscribe(0)
        await Play(direct).create(2)
        await until(lambda: slow.positions == live.positions == [1, 2])
        slow.held_back = 10**9
        await Play(direct).create(3)
        await until(lambda: live.positions == [1, 2, 3, 4, 5])
        proxy.cut("refuse")
        async with redis.asyncio.from_url(redis_url) as client:
            await client.flushdb()
        await direct.open()
        await Play(direct).create(9)
        proxy.cut("pass")
        await until(lambda: live.notices == slow.notices == ["log-regressed"])
        slow.held_back = 0
        await until(lambda: slow.reached(9))
        assert slow.positions[2:] == [3, 4, 5, 6, 7, 8, 9]
        await harness.stop()
        await log.close()
    await direct.close()


async def test_recent_returns_all_frames_after_a_position_or_none(harness: FeedHarness) -> None:
    await harness.play.live(2)
    await harness.feed.ready()
    assert harness.feed.position == 12

    def at_hand(after: int) -> list[int] | None:
        frames = harness.feed.recent(after)
        return None if frames is None else [frame.position for frame in frames]

    assert [at_hand(after) for after in range(13)] == [through(12, after) for after in range(13)]
    del harness.feed._recent[:5]
    assert [at_hand(after) for after in (3, 4, 5, 6)] == [
        None, None, through(12, 5), through(12, 6),
    ]  # fmt: skip


async def test_a_page_of_the_archive_ends_before_a_hole(harness: FeedHarness) -> None:
    await harness.play.live(1)
    await harness.trim()
    del harness.archive.stored[2]
    page = await harness.feed.past.page(0)
    assert [stored.position for stored in page] == [1, 2]
    with pytest.raises(HistoryGap):
        await harness.feed.past.page(2)


def overfull(held_back: int) -> Page:
    """A socket that holds back so many bytes."""
    page = Page()
    page.held_back = held_back
    return page


async def test_a_subscriber_with_too_many_unsent_frames_leaves_the_live_feed(
    harness: FeedHarness,
) -> None:
    for held, live in ((HIGH_BYTES, True), (HIGH_BYTES + 1, False)):
        page = overfull(held)
        subscription = Subscription(harness.feed, page, Filter(None))
        harness.feed.attach(subscription)
        harness.feed.join(subscription)
        harness.feed._tail.position += 3
        subscription.take(b"\x81\x02{}", harness.feed.position - 3)
        assert (subscription.live, bool(page.writes)) == (live, live)
        if not live:
            assert subscription.cursor == harness.feed.position - 3
        harness.feed.detach(subscription)


async def test_a_follower_with_too_many_unsent_frames_is_closed(harness: FeedHarness) -> None:
    ids = await harness.play.create(2)
    await harness.feed.ready()
    pages = [overfull(FOLLOWER_BYTES), overfull(FOLLOWER_BYTES + 1)]
    for order_id, page in zip(ids, pages, strict=True):
        assert await Follower(harness.feed, page, order_id, lambda _: None).start()
    await harness.play.append(ids, *after_submission()[:1])
    await until(lambda: pages[1].closed)
    assert not pages[0].closed
    for page in pages:
        page.closed = True


async def test_a_subscriber_beyond_the_end_of_the_log_gets_a_notice_and_resumes_at_the_end(
    harness: FeedHarness,
) -> None:
    beyond, before = Page(), Page()
    subscriptions = [Subscription(harness.feed, page, Filter(None)) for page in (beyond, before)]
    for subscription, cursor in zip(subscriptions, (10, 3), strict=True):
        subscription.cursor = cursor
        harness.feed.attach(subscription)
    await harness.feed._notify_gap(Gap(4, "log-regressed"))
    assert [subscription.cursor for subscription in subscriptions] == [4, 3]
    assert (beyond.notices, before.notices) == (["log-regressed"], [])


async def test_a_cursor_of_another_epoch_is_refused_as_such(harness: FeedHarness) -> None:
    await harness.play.live(1)
    page = await harness.subscribe(Cursor(2, 0, 9))
    await until(lambda: page.positions == [3, 4, 5, 6])
    assert page.notices == ["epoch-changed"]


async def test_a_heartbeat_carries_the_position_of_a_subscriber_that_is_behind(
    harness: FeedHarness,
) -> None:
    await harness.play.live(2)
    await harness.feed.ready()
    page = Page()
    subscription = Subscription(harness.feed, page, Filter(None))
    subscription.cursor = 3
    harness.feed.attach(subscription)
    harness.feed._beat(12, True)
    assert b'"position":3,' in page.data
    assert b'"head":12' in page.data


async def test_a_cursor_of_the_previous_epoch_is_refused_as_such(harness: FeedHarness) -> None:
    await harness.play.live(1)
    await harness.feed.ready()
    harness.feed._log.epoch = harness.feed._tail.epoch = 2
    page = Page()
    subscription = Subscription(harness.feed, page, Filter(None), Cursor(3, epoch=1))
    await subscription._check_start()
    assert page.notices == ["epoch-changed"]


async def test_a_cursor_ahead_of_the_log_is_refused_as_such(harness: FeedHarness) -> None:
    await harness.play.live(1)
    page = await harness.subscribe(100)
    await until(lambda: page.notices == ["ahead-of-log"])
    await harness.play.create()
    await until(lambda: page.positions == [7])


async def test_thousands_of_followers_each_see_their_own_order(harness: FeedHarness) -> None:
    await harness.feed.ready()
    ids = await harness.play.create(500)
    pages = {order_id: Page() for order_id in ids}
    over: list[Follower] = []
    for order_id in ids:
        follower = Follower(harness.feed, pages[order_id], order_id, over.append)
        assert await follower.start()
    for fact in after_submission():
        await harness.play.append(ids, fact)
    await until(lambda: len(over) == 500)
    for order_id, page in pages.items():
        assert [frame["version"] for frame in page.frames] == [1, 2, 3, 4, 5, 6]
        assert {frame["orderId"] for frame in page.frames} == {order_id}
    assert not harness.feed._followers


async def test_a_follower_fetches_missed_events(harness: FeedHarness) -> None:
    await harness.feed.ready()
    (order_id,) = await harness.play.create()
    page = Page()
    over: list[Follower] = []
    follower = Follower(harness.feed, page, order_id, over.append)
    await follower.start()
    harness.feed.unfollow(follower)  # as if the feed had jumped
    await harness.play.append([order_id], *after_submission()[:2])
    await until(lambda: harness.feed.position == 3)
    harness.feed.follow(follower)
    await harness.play.append([order_id], *after_submission()[2:])
    await until(lambda: bool(over))
    assert [frame["version"] for frame in page.frames] == [1, 2, 3, 4, 5, 6]


async def test_the_history_of_an_order_is_complete_though_half_of_it_is_trimmed(
    harness: FeedHarness,
) -> None:
    (order_id,) = await harness.play.create()
    await harness.trim()
    await harness.play.append([order_id], *after_submission())
    past = HistoryReader(harness.log, harness.archive)
    stored = await past.order(order_id)
    assert [event.position for event in stored] == [1, 2, 3, 4, 5, 6]
    await past.close()


async def test_an_event_appended_between_a_read_and_a_look_at_the_position_is_not_called_lost(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, position = HistoryReader(harness.log, harness.archive), harness.log.position
    appended: list[str] = []

    async def position_after_an_append() -> int:
        if not appended:
            appended.extend(await harness.play.create())
        return await position()

    monkeypatch.setattr(harness.log, "position", position_after_an_append)
    page = await past.page(0)  # the log was empty when it was read first
    assert [stored.record.event().order_id for stored in page] == appended
    await past.close()


async def test_events_appended_while_the_history_is_read_are_delivered(
    harness: FeedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.feed.ready()
    (order_id,) = await harness.play.create()
    read = harness.feed.past.order

    async def slowly(text: str) -> list[Stored]:
        events = await read(text)
        last = await harness.play.append([order_id], *after_submission())
        await until(lambda: harness.feed.position == last)
        return events

    monkeypatch.setattr(harness.feed.past, "order", slowly)
    page = Page()
    over: list[Follower] = []
    assert await Follower(harness.feed, page, order_id, over.append).start()
    assert [frame["version"] for frame in page.frames] == [1, 2, 3, 4, 5, 6]
    assert over
