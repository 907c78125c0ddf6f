"""The projector: each event once, in order, whatever happens to it, to Valkey and to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import pytest
import redis.asyncio
from msgspec.structs import replace

from events.archive import NO_ORDER, Archive
from events.hash_chain import GENESIS, encode_record, link
from events.ids import new_order_id
from events.log import AppendRequest, AppendStatus, EventLog
from events.log.head import encode_head
from events.order import Order
from events.types import Event, OrderSubmitted, RoutingStarted, Status, encode
from projections.postgres import batcher, tables
from projections.postgres import projector as projectors
from projections.postgres import session as sessions
from projections.postgres.migrate import MigrationError, available, migrate
from projections.postgres.order_rows import COLUMNS, columns
from projections.postgres.tables import ProjectionBatch
from tests.support.log.played import ACCOUNT, Play, after_submission, failed, routed, submitted
from tests.support.log.projected import NOT_YET, opened, projected, projecting
from tests.support.waits import HANG_S, until


async def rows(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def positions(url: str) -> list[int]:
    return [row[0] for row in await rows(url, "SELECT position FROM events ORDER BY position")]


async def raw(log: EventLog, order_id: str, body: bytes, version: int = 1) -> int:
    """Appends bytes that no stage would write."""
    digest = link(GENESIS, body)
    head = encode_head(version, digest, 0, b"\xc0")
    request = AppendRequest(
        order_id=order_id,
        old=b"",
        new=head,
        owes=0,
        events=1,
        records=encode_record(digest, body),
        wake=False,
    )
    return (await log.append([request]))[0].position


async def test_every_event_and_order_is_projected(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        ids = await Play(log).live(50)
        async with projecting(redis_url, database_url):
            end = await projected(log, archive)
        assert end == 300
        assert await positions(database_url) == list(range(1, 301))
        for order_id, head in zip(ids, await log.load(ids), strict=True):
            assert head is not None
            assert await archive.order(order_id) == head.order
            history = await archive.history(order_id)
            assert tuple(stored.position for stored in history) == head.positions
            assert [(s.record.hash, bytes(s.record.body)) for s in history] == [
                (s.record.hash, bytes(s.record.body)) for s in await log.history(head.positions)
            ]


async def test_the_columns_of_a_row_equal_the_order(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        (done,) = await play.live()
        (named,) = await play.create(fact=submitted(client_order_id="mine"))
        await play.append([named], failed())
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        async with archive.snapshot() as snapshot:
            order_rows = [row async for page in snapshot.orders() for row in page]
        assert [row.id for row in order_rows] == [done, named]
        for row in order_rows:
            order = await archive.order(row.id)
            assert order is not None
            shown = columns(order, row.hash, row.positions)
            assert {**row.columns, "id": row.id} == shown
            assert tuple(row.columns) == COLUMNS


async def test_at_low_load_an_event_waits_for_no_others(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert batcher.READ_EVERY_S + batcher.LINGER_S < 0.1, "it shows within a quarter of a second"
    monkeypatch.setattr(batcher, "LINGER_LOADED_S", 3600.0)
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play = Play(log)
        await play.live()
        await projected(log, archive)
        for _ in range(5):
            await play.live()
            await projected(log, archive)


async def test_the_projector_resumes_in_the_middle_of_orders(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        ids = await play.create(20)
        for fact in after_submission():
            await play.append(ids, fact)
            async with projecting(redis_url, database_url):
                await projected(log, archive)
        assert await positions(database_url) == list(range(1, 121))
        assert {o.status for o in (await archive.orders(ids)).values()} == {Status.CONFIRMED}


async def test_a_checkpoint_may_lie_within_a_log_entry(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.postgres.batcher.CHUNK_EVENTS", 7)
    async with opened(redis_url, database_url) as (log, archive):
        ids = await Play(log).live(10)  # six entries of ten events
        written = tables.write
        steps: list[ProjectionBatch] = []

        async def stop_after_four(connection: asyncpg.Connection, step: ProjectionBatch) -> None:
            if len(steps) == 4:
                raise OSError("killed")
            steps.append(step)
            await written(connection, step)

        monkeypatch.setattr(tables, "write", stop_after_four)
        async with projecting(redis_url, database_url):
            await until(lambda: _is(archive, 28), "four chunks", ignoring=NOT_YET)
        monkeypatch.setattr(tables, "write", written)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        assert await archive.regression() is None
        assert await positions(database_url) == list(range(1, 61))
        assert len(await archive.orders(ids)) == 10


async def _is(archive: Archive, position: int) -> bool:
    return await archive.position() == position


async def test_two_projectors_apply_each_event_once(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with (
            projecting(redis_url, database_url),
            projecting(redis_url, database_url),
        ):
            play = Play(log)
            for _ in range(20):
                await play.live(20)
            end = await projected(log, archive)
        assert await positions(database_url) == list(range(1, end + 1))
        versions = await rows(database_url, "SELECT version, cardinality(positions) FROM orders")
        assert len(versions) == 400
        assert {tuple(v) for v in versions} == {(6, 6)}


async def test_a_commit_whose_answer_is_lost_is_not_applied_again(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tables.write
    lost = 0

    async def lose_every_third_answer(
        connection: asyncpg.Connection, step: ProjectionBatch
    ) -> None:
        nonlocal lost
        await written(connection, step)
        lost += 1
        if lost % 3 == 0:
            raise OSError("the connection broke at COMMIT")

    monkeypatch.setattr(tables, "write", lose_every_third_answer)
    monkeypatch.setattr("projections.postgres.batcher.CHUNK_EVENTS", 50)
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(100)
            end = await projected(log, archive)
        assert lost >= 12
        assert await positions(database_url) == list(range(1, end + 1))


async def test_an_unreadable_event_is_archived_and_only_its_order_is_parked(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        order_id = new_order_id()
        strange = msgspec.msgpack.encode(
            [order_id, 1, 5, "pending", "main", "b", ["FromTheFuture"]]
        )
        await raw(log, order_id, strange)
        at = await raw(log, new_order_id(), msgspec.msgpack.encode({"no": "event"}))
        ids = await play.live(3)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        assert len(await archive.orders(ids)) == 3
        assert (await archive.read(0, 1))[0].record.body == msgspec.Raw(strange)
        assert [s.position for s in await archive.history(order_id)] == [1]
        parked = await rows(database_url, "SELECT * FROM projection_parked ORDER BY positions")
        assert [(str(p["order_id"]), p["positions"]) for p in parked] == [
            (order_id, [1]),
            (NO_ORDER, [at]),
        ]
        assert "cannot be read" in parked[0]["reason"]


async def test_damaged_text_is_archived_and_parks_only_its_order(
    redis_url: str, database_url: str
) -> None:
    order_id = new_order_id()
    event = Event(order_id, 1, 5, Status.PENDING, "main", "b", submitted())
    body = encode(event)
    nameless = body.replace(order_id.encode(), b"\xff" * 36)
    renamed = body.replace(b"\xaeOrderSubmitted", b"\xabOrderRested").replace(
        b"\xa6market", b"\xa1\xff"
    )  # under a former name an event is read a second time
    async with opened(redis_url, database_url) as (log, archive):
        for damaged in (nameless, renamed):
            await raw(log, new_order_id(), damaged)
        ids = await Play(log).live(2)
        async with projecting(redis_url, database_url):
            end = await projected(log, archive)
        assert await positions(database_url) == list(range(1, end + 1))
        assert len(await archive.orders(ids)) == 2
        parked = await rows(database_url, "SELECT order_id, positions FROM projection_parked")
        assert {str(row["order_id"]): row["positions"] for row in parked} == {
            NO_ORDER: [1],
            order_id: [2],
        }


async def test_rows_that_postgres_refuses_are_isolated_and_parked(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        before = await play.create(3)
        (bad,) = await play.create(fact=submitted(client_order_id="no \0 in text"))
        after = await play.create(3)
        for fact in after_submission():
            await play.append([*before, bad, *after], fact)
        async with projecting(redis_url, database_url):
            end = await projected(log, archive)
        good = await archive.orders([*before, *after])
        assert {o.status for o in good.values()} == {Status.CONFIRMED}
        assert len(good) == 6
        assert await positions(database_url) == list(range(1, end + 1))
        assert await archive.order(bad) is None
        assert len(await archive.history(bad)) == 6


async def test_events_behind_a_refused_chunk_are_folded_again(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "CHUNK_EVENTS", 1)
    monkeypatch.setattr(sessions, "VERIFY_S", HANG_S)  # each chunk is folded behind the last
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        (order_id,) = await play.create()
        await play.append([order_id], RoutingStarted(), replace(routed(), dex="no \0 in text"))
        await play.append([order_id], routed())  # of this one alone Postgres would take the row
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        (parked,) = await rows(database_url, "SELECT * FROM projection_parked")
        assert parked["positions"] == [3, 4]
        (row,) = await rows(database_url, "SELECT version, positions FROM orders")
        assert (row["version"], row["positions"]) == (2, [1, 2])


async def test_an_older_order_is_loaded_only_between_writes(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "VERIFY_S", HANG_S)
    written, loaded, take = tables.write, tables.load_orders, batcher.TailBatcher.take
    second_taken, writing, during = asyncio.Event(), list[ProjectionBatch](), list[int]()

    async def taking(self: batcher.TailBatcher, wait_s: float) -> batcher.Chunk | None:
        chunk = await take(self, wait_s)
        if chunk is not None and chunk.first == 4:
            second_taken.set()
        return chunk

    async def write(connection: asyncpg.Connection, step: ProjectionBatch) -> None:
        writing.append(step)
        await second_taken.wait()
        await written(connection, step)
        writing.remove(step)

    async def load(connection: asyncpg.Connection, ids: Sequence[str]) -> Any:
        during.append(len(writing))
        return await loaded(connection, ids)

    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        (before,) = await play.create()
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        await play.create(2)
        await play.append([before], RoutingStarted())
        monkeypatch.setattr(batcher, "CHUNK_EVENTS", 2)
        monkeypatch.setattr(batcher.TailBatcher, "take", taking)
        monkeypatch.setattr(tables, "write", write)
        monkeypatch.setattr(tables, "load_orders", load)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
    assert during == [0]


async def test_a_version_that_does_not_continue_its_order_parks_it(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        (order_id,) = await play.create()
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        await rows(database_url, "DELETE FROM orders")
        await play.append([order_id], *after_submission())
        (other,) = await play.live()
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        assert await archive.order(order_id) is None
        assert await archive.order(other) is not None
        (parked,) = await rows(database_url, "SELECT * FROM projection_parked")
        assert parked["positions"] == [2, 3, 4, 5, 6]


async def test_a_log_behind_the_archive_stops_the_projector_and_new_orders(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(10)
            await projected(log, archive)
            client = redis.asyncio.Redis.from_url(redis_url)
            await client.flushdb()
            await log.open()  # what a careless restart would do
            await Play(log).live(5)

            async def halted() -> bool:
                return await archive.regression() is not None

            await until(halted, "the report", ignoring=NOT_YET)

            async def suspended() -> bool:
                return await log.suspended() != ""

            await until(suspended, "the suspension")
            request, _ = log.build_creation(new_order_id(), "main", submitted())
            [answer] = await log.append([request])
            assert answer.status is AppendStatus.SUSPENDED
            await client.aclose()
        reason = await archive.regression()
        assert reason is not None
        assert "60" in reason
        assert await positions(database_url) == list(range(1, 61))


async def test_a_log_that_was_replaced_by_a_longer_one_is_not_followed(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(10)
            await projected(log, archive)
        client = redis.asyncio.Redis.from_url(redis_url)
        await client.flushdb()
        await client.aclose()
        await log.open()
        await Play(log).live(20)
        async with projecting(redis_url, database_url):

            async def halted() -> bool:
                return "differs" in (await archive.regression() or "")

            await until(halted, "the report", ignoring=NOT_YET)
        assert await positions(database_url) == list(range(1, 61))


async def test_a_log_trimmed_ahead_of_the_archive_stops_it(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        await Play(log).live(100)
        client = redis.asyncio.Redis.from_url(redis_url)
        await client.xtrim(log.keys.log, minid="301-0", approximate=False)
        await client.aclose()
        async with projecting(redis_url, database_url):

            async def halted() -> bool:
                return await archive.regression() is not None

            await until(halted, "the report", ignoring=NOT_YET)
        assert await positions(database_url) == []


async def test_the_regression_report_ends_once_the_log_is_back(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        await Play(log).live(2)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        connection = await asyncpg.connect(database_url)
        await tables.halt(connection, "for a reason")
        await connection.close()
        assert await archive.regression() == "for a reason"
        async with projecting(redis_url, database_url):

            async def well() -> bool:
                return await archive.regression() is None

            await until(well, "the withdrawal", ignoring=NOT_YET)


async def test_the_log_is_trimmed_behind_the_archive_and_ended_heads_expire(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        client = redis.asyncio.Redis.from_url(redis_url)
        async with projecting(redis_url, database_url, retain_events=500):
            play = Play(log)
            for _ in range(10):
                ids = await play.live(100)
            (waits,) = await play.create()
            end = await projected(log, archive)

            async def trimmed() -> bool:
                return (await log.bounds())[0] > end - 2000

            async def expiring() -> bool:
                return int(await client.pttl(log.keys.order(ids[-1]))) > 0

            await until(trimmed, "trimming")
            await until(expiring, "the last head to be told to expire")
        assert (await log.bounds())[0] <= end - 500
        assert await client.pttl(log.keys.order(ids[0])) > 0
        assert await client.pttl(log.keys.order(waits)) == -1
        await client.aclose()


async def test_heads_that_a_kill_kept_from_expiring_expire_after_the_restart(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(redis_url, database_url) as (log, archive):

        async def killed(*_: object) -> None:
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(EventLog, "expire_heads", killed)
            patch.setattr(projectors, "STOP_S", 0.1)
            async with projecting(redis_url, database_url):
                ids = await Play(log).live(2)
                await projected(log, archive)
        client = redis.asyncio.Redis.from_url(redis_url)
        assert await client.pttl(log.keys.order(ids[0])) == -1
        async with projecting(redis_url, database_url):

            async def expiring() -> bool:
                return await client.pttl(log.keys.order(ids[0])) > 0

            await until(expiring, "the expiry")
        await client.aclose()


async def test_migrations_apply_once_and_a_changed_one_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        applied = await asyncio.gather(migrate(first), migrate(second))
        assert sorted(len(names) for names in applied) == [0, len(available())]
        assert await migrate(first) == []
        changed = dict.fromkeys([*applied[0], *applied[1]], "SELECT 1")
        with monkeypatch.context() as patch:
            patch.setattr("projections.postgres.migrate.available", lambda: changed)
            with pytest.raises(MigrationError, match="changed"):
                await migrate(first)
        monkeypatch.setattr("projections.postgres.migrate.available", dict)
        with pytest.raises(MigrationError, match="newer build"):
            await migrate(first)
    finally:
        await first.close()
        await second.close()


async def test_events_of_an_unknown_order_do_not_stop_the_projector(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        fact = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1, 50)
        event = Event("x" * 36, 1, 5, Status.PENDING, ACCOUNT, "b", fact)
        await raw(log, new_order_id(), encode(event))
        huge = msgspec.structs.replace(event, order_id=new_order_id(), version=2**40)
        await raw(log, huge.order_id, encode(huge))
        (fine,) = await Play(log).live()
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        assert isinstance(await archive.order(fine), Order)
        assert len(await rows(database_url, "SELECT FROM projection_parked")) == 2
