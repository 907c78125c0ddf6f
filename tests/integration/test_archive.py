"""The archive: pages, histories, lists, and a quick honest answer when Postgres is gone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from engine.embedded import databases
from engine.embedded.data_dir import running
from events.archive import Archive, ArchiveUnavailable, BadCursor, Filters, listing
from events.archive.history import Gap, everything, order_history
from events.ids import created_ms, first_id_at, new_order_id
from events.log import POSITIONS_KEPT, EventLog
from events.order import Order
from events.types import AttemptFailed, OrderParked, TransactionInDoubt
from projections.postgres.migrate import migrate
from tests.support.log.played import Play, after_submission, failed, submitted
from tests.support.log.projected import NOT_YET, opened, projected, projecting
from tests.support.patience import given_up_after
from tests.support.waits import until, until_past


@pytest.fixture
async def played(
    redis_url: str, database_url: str
) -> AsyncIterator[tuple[EventLog, Archive, Play]]:
    """A log, an archive and a player; a projector runs."""
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        yield log, archive, Play(log)


Played = tuple[EventLog, Archive, Play]


async def all_pages(
    archive: Archive, filters: Filters | None = None, *, limit: int = 7
) -> list[Order]:
    orders: list[Order] = []
    cursor = None
    while True:
        page, cursor = await archive.find(filters or Filters(), limit=limit, cursor=cursor)
        orders += page
        if cursor is None:
            return orders
        assert len(page) == limit


async def test_reading_pages_gives_every_event_in_order(played: Played) -> None:
    log, archive, play = played
    await play.live(300)
    end = await projected(log, archive)
    pages = [page async for page in archive.pages(0, events=500)]
    assert [p for page in pages for p in page.positions] == list(range(1, end + 1))
    assert [len(page.positions) for page in pages] == [500, 500, 500, 300]
    one_by_one = await archive.read(0, 10_000)
    assert [stored for page in pages for stored in page.stored()] == one_by_one
    assert [s.position for s in await archive.read(1700, 3)] == [1701, 1702, 1703]
    assert [p async for p in archive.pages(end)] == []
    assert [p async for page in archive.pages(5, 8) for p in page.positions] == [6, 7, 8]


async def test_pages_continue_from_the_archive_into_the_log_without_a_gap(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        async with projecting(redis_url, database_url):
            ids = await play.live(20)
            await projected(log, archive)
        await log.trim(100)
        more = await play.live(20)
        end = await log.position()
        for after in (0, 7, 119, 120, 123, end):
            pages = [page async for page in everything(archive, log, after)]
            positions = [p for page in pages for p in page.positions]
            assert positions == list(range(after + 1, end + 1))
            assert [event.version for page in pages for event in page.events()][-1:] in ([6], [])
        for order_id in (ids[3], more[3]):
            history = await order_history(archive, log, order_id)
            assert [s.record.event().version for s in history] == [1, 2, 3, 4, 5, 6]


async def test_a_long_history_is_whole_though_its_head_names_the_newest_events_only(
    redis_url: str, database_url: str
) -> None:
    again = [AttemptFailed("router", n, "x", "", 0) for n in range(100)]
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        async with projecting(redis_url, database_url):
            [order_id] = await play.create()
            for fact in again:
                await play.append([order_id], fact)
            await projected(log, archive)
        for facts in (again[:70], again):
            await play.append([order_id], *facts)
        with pytest.raises(ArchiveUnavailable, match="behind"):
            await order_history(archive, log, order_id)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        await play.append([order_id], *again[:3])
        history = await order_history(archive, log, order_id)
        assert [s.record.event().version for s in history] == list(range(1, 275))
        head = (await log.load([order_id]))[0]
        assert head is not None
        assert (head.version, head.order.version) == (274, 274)
        assert head.positions == tuple(range(275 - POSITIONS_KEPT, 275))


async def test_a_gap_in_log_and_archive_is_reported_with_its_position(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(100)
            await projected(log, archive)
        more = await Play(log).live(100, step_by_step=False)
        assert more
        await log.trim(await log.position())
        if (await log.bounds())[0] > 601:
            with pytest.raises(Gap, match="601"):
                async for _ in everything(archive, log):
                    pass


async def test_lists_are_newest_first_and_pages_meet_without_gap_or_overlap(
    played: Played,
) -> None:
    log, archive, play = played
    ids = [order_id for _ in range(5) for order_id in await play.create(10)]
    await projected(log, archive)
    results = [order.id for order in await all_pages(archive)]
    assert results == sorted(ids, reverse=True)


async def test_a_list_stays_stable_while_orders_arrive_and_change(played: Played) -> None:
    log, archive, play = played
    ids = await play.create(30)
    await projected(log, archive)
    first, cursor = await archive.find(Filters(), limit=10)
    await play.create(10)
    await play.append(ids, failed())
    await projected(log, archive)
    second, _ = await archive.find(Filters(), limit=20, cursor=cursor)
    assert [o.id for o in (*first, *second)] == sorted(ids, reverse=True)


async def test_oldest_first_is_the_same_list_backwards_and_ends_with_what_is_new(
    played: Played,
) -> None:
    log, archive, play = played
    ids = await play.create(20)
    bonk = await play.create(20, fact=submitted(to="BONK"))
    await projected(log, archive)
    oldest = Filters(oldest_first=True)
    assert [o.id for o in await all_pages(archive, oldest)] == sorted([*ids, *bonk])
    token = await all_pages(archive, Filters(token="BONK", oldest_first=True))
    assert [o.id for o in token] == sorted(bonk)
    border = created_ms(max(ids))
    since = await all_pages(archive, Filters(from_ms=border, oldest_first=True))
    assert since == list(reversed(await all_pages(archive, Filters(from_ms=border))))
    first, cursor = await archive.find(oldest, limit=30)
    late = await play.create(5)
    await projected(log, archive)
    rest, end = await archive.find(oldest, limit=30, cursor=cursor)
    assert [o.id for o in (*first, *rest)] == sorted([*ids, *bonk, *late])
    assert end is None


async def test_filters_select_exactly_the_matching_orders(played: Played) -> None:
    log, archive, play = played
    done = await play.live(9)
    bad = await play.create(9)
    await play.append(bad, failed())
    bonk = await play.create(9, fact=submitted(to="BONK"))
    (mine,) = await play.create(fact=submitted(client_order_id="mine"))
    await projected(log, archive)

    async def ids(filters: Filters) -> set[str]:
        return {order.id for order in await all_pages(archive, filters, limit=4)}

    assert await ids(Filters(statuses=("confirmed",))) == set(done)
    assert await ids(Filters(statuses=("failed",))) == set(bad)
    assert await ids(Filters(statuses=("pending",))) == {*bonk, mine}
    assert await ids(Filters(statuses=("confirmed", "failed"))) == {*done, *bad}
    assert await ids(Filters(types=("limit",))) == set()
    assert await ids(Filters(types=("limit", "market"), token="BONK")) == set(bonk)
    assert await ids(Filters(token="BONK")) == set(bonk)
    assert len(await ids(Filters(token="SOL"))) == 28
    assert await ids(Filters(token="SOL", statuses=("failed",))) == set(bad)
    assert await ids(Filters(client_order_id="mine")) == {mine}
    assert await ids(Filters(client_order_id="mine'; DROP TABLE orders; --")) == set()
    assert await ids(Filters(account="main", token="BONK")) == set(bonk)
    assert await ids(Filters(account="other")) == set()
    with pytest.raises(ValueError, match="no-status"):
        await ids(Filters(statuses=("no-status",)))


async def test_parked_orders_and_orders_in_doubt_are_listed(played: Played) -> None:
    log, archive, play = played
    done = await play.live(9)
    bonk = await play.create(9, fact=submitted(to="BONK"))
    stuck = bonk[:5]
    await play.append(stuck, OrderParked("router", "a bug", "engine"))
    doubted = await play.create(6)
    await play.append(doubted, *after_submission()[:-1])
    sent = await play.create(6)
    await play.append(sent, *after_submission()[:-1])
    await play.append(doubted, TransactionInDoubt("5" * 88, "no-answer", ""))
    await projected(log, archive)

    async def ids(filters: Filters) -> set[str]:
        return {order.id for order in await all_pages(archive, filters, limit=4)}

    every = {*done, *bonk, *doubted, *sent}
    assert await ids(Filters(parked=True)) == set(stuck)
    assert await ids(Filters(parked=True, token="USDC")) == set()
    assert await ids(Filters(parked=False)) == every - set(stuck)
    assert await ids(Filters(in_doubt=True)) == set(doubted)
    assert await ids(Filters(in_doubt=True, statuses=("submitted",))) == set(doubted)
    assert await ids(Filters(in_doubt=True, account="other")) == set()
    assert await ids(Filters(in_doubt=False)) == every - set(doubted)
    assert await ids(Filters(in_doubt=False, statuses=("submitted",))) == set(sent)


async def test_times_are_ranges_of_ids(played: Played) -> None:
    log, archive, play = played
    (early,) = await play.create()
    await until_past((created_ms(early) + 1) * 1000)
    (late,) = await play.create()
    await projected(log, archive)
    border = created_ms(late)
    assert [o.id for o in await all_pages(archive, Filters(from_ms=border))] == [late]
    assert [o.id for o in await all_pages(archive, Filters(to_ms=border))] == [early]
    assert first_id_at(border) <= late


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_cursor_names_no_order_of_another_account(
    played: Played, monkeypatch: pytest.MonkeyPatch, oldest_first: bool
) -> None:
    """The search ends after each window, on an order of another account."""
    log, archive, play = played
    ids = await play.create(40)
    mine = ids[::7]
    await projected(log, archive)
    async with archive.connection() as connection:
        await connection.execute(
            "UPDATE orders SET account = 'mine' WHERE id = ANY($1::uuid[])", mine
        )
    monkeypatch.setattr(listing, "SEARCH_S", -1)
    monkeypatch.setattr(listing, "_WINDOW_ROWS", 3)
    results: list[str] = []
    cursor, cursors = None, []
    while True:
        filters = Filters(account="mine", oldest_first=oldest_first)
        page, cursor = await archive.find(filters, limit=2, cursor=cursor)
        results += [order.id for order in page]
        if cursor is None:
            break
        cursors.append(listing.decode_cursor(cursor))
    assert results == sorted(mine, reverse=not oldest_first)
    assert len(cursors) > len(mine) / 2, "some pages ended between the account's orders"
    assert not set(cursors) & (set(ids) - set(mine))


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "ü" * 22, "A" * 23, "=" * 22])
async def test_a_foreign_cursor_is_refused(played: Played, cursor: str) -> None:
    if cursor:
        with pytest.raises(BadCursor):
            await played[1].find(Filters(), limit=1, cursor=cursor)


async def test_unknown_orders_have_no_history(played: Played) -> None:
    log, archive, play = played
    await play.live()
    await projected(log, archive)
    assert await archive.history(new_order_id()) == []
    assert await archive.order(new_order_id()) is None
    assert await archive.orders([]) == {}


async def test_a_database_that_was_never_migrated_is_unavailable(database_url: str) -> None:
    archive = await Archive.open(database_url)
    with pytest.raises(ArchiveUnavailable):
        await archive.position()
    await archive.close()


@pytest.fixture
def postgres(short_path: Path) -> Iterator[tuple[str, int]]:
    """A Postgres of this test's own: (URL, pid)."""
    options = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
    with databases.started(short_path, options) as servers:
        initdb = running(short_path)
        assert initdb is not None
        yield servers.database_url, initdb.pids["postgres"]


async def test_an_unreachable_postgres_is_reported_without_delay(short_path: Path) -> None:
    archive = await Archive.open(f"postgresql://postgres@/postgres?host={short_path}")
    with pytest.raises(ArchiveUnavailable, match="No such file"):  # not that time is over
        await archive.position()
    await archive.close()


def family(pid: int) -> list[int]:
    """A process and its children."""
    results = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                results.append(int(stat.parent.name))
    return results


async def test_reads_of_a_hanging_postgres_raise_archive_unavailable(
    postgres: tuple[str, int],
) -> None:
    url, pid = postgres
    connection = await asyncpg.connect(url)
    await migrate(connection)
    await connection.close()
    archive = await Archive.open(url)
    assert await archive.position() == 0
    processes = family(pid)
    assert len(processes) > 3
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        # On a connection that was made before, and on a new one. Neither would ever answer.
        with given_up_after(0.5):
            for _ in range(2):
                with pytest.raises(ArchiveUnavailable):
                    await archive.position()
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    await until(lambda: _answers(archive), "the answer", ignoring=NOT_YET)
    await archive.close()


async def _answers(archive: Archive) -> bool:
    return await archive.position() == 0
