"""A rebuild gives the same tables, while the engine runs, and stops without a trace at a fault."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import asyncpg
import pytest

from engine.recovery import Words, diagnose, plan
from events.archive import Archive
from events.audit.verify import verify
from events.log import EventLog
from projections.postgres import rebuild as rebuilds
from projections.postgres.order_rows import OrderFold, Poison, columns
from projections.postgres.rebuild import RebuildError, rebuild
from tests.support.log.played import Play, after_submission, failed
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import HANG_S, until


async def fetch(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def table(url: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await fetch(url, "SELECT * FROM orders ORDER BY id")]


async def sound(log: EventLog, archive: Archive) -> None:
    assert (await verify(archive, log, columns)).problems == []


async def test_a_rebuild_gives_the_same_table(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        async with projecting(redis_url, database_url):
            await play.live(30)
            await play.append(await play.create(5), failed())
            await play.create(5)
            await projected(log, archive)
        before = await table(database_url)
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders'"
        named = sorted(tuple(row) for row in await fetch(database_url, indexes))
        await fetch(database_url, "UPDATE orders SET status = 'lost', version = 99")
        await fetch(
            database_url, "DELETE FROM orders WHERE id = (SELECT max(id::text)::uuid FROM orders)"
        )
        done = await rebuild(database_url)
        assert (done.events, done.orders) == (195, 40)
        assert await table(database_url) == before
        assert sorted(tuple(row) for row in await fetch(database_url, indexes)) == named
        await rebuild(database_url)
        assert await table(database_url) == before
        await sound(log, archive)


async def test_the_engine_keeps_running_while_tables_are_rebuilt(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are projected until the moment of the switch, and others wait behind it."""
    monkeypatch.setattr(rebuilds, "SAVE_EVENTS", 100)
    fold, lock = rebuilds._Rebuild._fold_until, rebuilds._Rebuild._lock
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play, locked, meanwhile = Play(log), asyncio.Event(), list[str]()

        async def fold_while_more_comes(self: Any, target: int) -> None:
            await fold(self, target)
            if not locked.is_set():
                meanwhile.extend(await play.live(5))
                await projected(log, archive)

        async def lock_while_more_comes(self: Any) -> None:
            await lock(self)
            locked.set()
            meanwhile.extend(await play.live(5))
            await until(lambda: fetch(database_url, "SELECT FROM pg_locks WHERE NOT granted"))

        monkeypatch.setattr(rebuilds._Rebuild, "_fold_until", fold_while_more_comes)
        monkeypatch.setattr(rebuilds._Rebuild, "_lock", lock_while_more_comes)
        await play.live(20)
        await projected(log, archive)
        for _ in range(3):
            locked.clear()
            await rebuild(database_url)
        await projected(log, archive)
        assert len(meanwhile) == 3 * 15
        assert len(await archive.orders(meanwhile)) == len(meanwhile)
        await sound(log, archive)
        assert await archive.regression() is None


async def test_orders_open_at_the_switch_continue_after_it(
    redis_url: str, database_url: str
) -> None:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play = Play(log)
        ids = await play.create(10)
        for fact in after_submission():
            await projected(log, archive)
            await rebuild(database_url)
            await play.append(ids, fact)
        await projected(log, archive)
        assert {o.status for o in (await archive.orders(ids)).values()} == {"confirmed"}
        await sound(log, archive)


async def test_a_parked_order_is_folded_again_by_a_build_that_can(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        ids = await Play(log).live(3)
        apply = OrderFold.apply

        def old_build(fold: OrderFold, position: int, digest: bytes, event: Any) -> None:
            if event.order_id == ids[1] and event.version > 2:
                raise Poison("not in my days")
            apply(fold, position, digest, event)

        with monkeypatch.context() as patch:
            patch.setattr(OrderFold, "apply", old_build)
            async with projecting(redis_url, database_url):
                await projected(log, archive)
        parked = await archive.order(ids[1])
        assert parked is not None
        assert parked.status == "routing"
        assert len(await fetch(database_url, "SELECT FROM projection_parked")) == 1
        await rebuild(database_url)
        assert await fetch(database_url, "SELECT FROM projection_parked") == []
        await sound(log, archive)


async def test_a_running_projector_continues_parked_orders_after_a_rebuild(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parked order continues: the projector sees that the tables are new ones."""

    def cannot(*_: object) -> None:
        raise Poison("not in my days")

    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play = Play(log)
        with monkeypatch.context() as patch:
            patch.setattr(OrderFold, "apply", cannot)
            ids = await play.create(2)
            await projected(log, archive)
        assert await archive.order(ids[0]) is None
        await rebuild(database_url)
        await play.append(ids, *after_submission())
        await projected(log, archive)
        assert {o.status for o in (await archive.orders(ids)).values()} == {"confirmed"}
        await sound(log, archive)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM events WHERE position = 42", "position 42|gap"),
        ("UPDATE events SET body = '\\xc1' WHERE position = 42", "cannot be read"),
        ("DELETE FROM events WHERE position > 55", "ends at 55"),
        ("UPDATE events SET body = (SELECT body FROM events WHERE position = 1)"
         " WHERE position = 42", "version 1"),
    ],
)  # fmt: skip
async def test_a_fault_stops_the_rebuild_and_changes_nothing(
    redis_url: str, database_url: str, damage: str, message: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(10)
            await projected(log, archive)
        before = await table(database_url)
        await fetch(database_url, damage)
        with pytest.raises(RebuildError, match=message):
            await rebuild(database_url)
        assert await table(database_url) == before
        tables = await fetch(database_url, "SELECT tablename::text FROM pg_tables")
        assert "orders_rebuild" not in {row[0] for row in tables}


async def test_the_cause_of_a_stopped_rebuild_is_reported_though_rows_are_in_transit(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is busy when the fault is met: its complaint about that hides nothing."""
    monkeypatch.setattr(rebuilds, "SAVE_EVENTS", 10)
    monkeypatch.setattr(rebuilds, "PAGE_EVENTS", 10)
    busy = asyncio.Event()

    async def slow(connection: asyncpg.Connection, *_: object) -> None:
        busy.set()
        await connection.execute("SELECT pg_sleep(60)")

    original = rebuilds._Rebuild._save

    async def begun(self: Any, changes: Any) -> None:
        await original(self, changes)
        await busy.wait()

    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(5)
            await projected(log, archive)
        before = await table(database_url)
        await fetch(database_url, "DELETE FROM events WHERE position = 15")
        monkeypatch.setattr("projections.postgres.tables.write_orders", slow)
        monkeypatch.setattr(rebuilds._Rebuild, "_save", begun)
        with pytest.raises(RebuildError, match="no event at position 15: `engine repair` first"):
            await rebuild(database_url)
        assert await table(database_url) == before


async def test_rows_written_just_before_the_switch_are_in_the_rebuilt_table(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes between the last look at the checkpoint and the lock that holds it up."""
    lock, fold_until = rebuilds._Rebuild._lock, rebuilds._Rebuild._fold_until
    locking, late = asyncio.Event(), list[str]()
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play = Play(log)

        async def noted(self: Any) -> None:
            locking.set()
            await lock(self)

        async def overtaken(self: Any, target: int) -> None:
            await fold_until(self, target)
            if locking.is_set() and not late:
                late.extend(await play.live(3))
                await projected(log, archive)

        await play.live(3)
        await projected(log, archive)
        monkeypatch.setattr(rebuilds._Rebuild, "_lock", noted)
        monkeypatch.setattr(rebuilds._Rebuild, "_fold_until", overtaken)
        await rebuild(database_url)
        assert len(await archive.orders(late)) == 3
        await projected(log, archive)
        await sound(log, archive)


@pytest.mark.parametrize(
    "harm",
    [
        "DROP INDEX orders_status_id_idx",
        "DROP INDEX orders_client_order_id_idx",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        "DROP FUNCTION order_events",
    ],
)
async def test_a_rebuild_makes_lost_indexes_again(
    redis_url: str, database_url: str, harm: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(2)
            await projected(log, archive)
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders' ORDER BY 1"
        before = [tuple(row) for row in await fetch(database_url, indexes)]
        await fetch(database_url, harm)
        await rebuild(database_url)
        assert [tuple(row) for row in await fetch(database_url, indexes)] == before
        await sound(log, archive)


@pytest.mark.parametrize("between", [0, 6], ids=["still held", "loaded again"])
async def test_an_event_after_the_end_is_folded_as_the_projector_did(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, between: int
) -> None:
    monkeypatch.setattr(rebuilds, "SAVE_EVENTS", 1)
    monkeypatch.setattr(rebuilds, "PAGE_EVENTS", 6)
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        async with projecting(redis_url, database_url):
            ids = await play.live(2)
            await projected(log, archive)
            if between:  # a page in which the rows of what ended are written, and forgotten
                await play.create(between)
            await play.append(ids, failed())  # a bug: nothing may follow the end
            await projected(log, archive)
        before = await table(database_url)
        await rebuild(database_url)
        assert await table(database_url) == before


async def test_a_long_reader_of_the_old_table_holds_up_only_the_rebuild(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        play = Play(log)
        await play.live(5)
        await projected(log, archive)
        async with archive.snapshot() as snapshot:
            assert [row async for row in snapshot.orders()]
            work = asyncio.create_task(rebuild(database_url))
            await until(lambda: fetch(database_url, "SELECT FROM pg_locks WHERE NOT granted"))
            (order_id,) = await play.live(1)
            await projected(log, archive)
            assert await archive.order(order_id) is not None
            assert not work.done()
        await asyncio.wait_for(work, HANG_S)

        async def again() -> bool:
            return len(await fetch(database_url, "SELECT FROM orders")) == 6

        await until(again)
        await sound(log, archive)


ALIKE = """
SELECT relowner::regrole::text, reloptions::text, relacl::text,
       obj_description('orders'::regclass, 'pg_class'),
       (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'status'),
       (SELECT reloptions::text FROM pg_class WHERE oid = c.reltoastrelid)
FROM pg_class AS c WHERE oid = 'orders'::regclass
"""


async def test_a_rebuild_keeps_options_owner_and_grants(redis_url: str, database_url: str) -> None:
    owner, reader, other = (f"{name} {secrets.token_hex(4)}" for name in ("own", "read", "other"))
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(3)
            await projected(log, archive)
        untouched = [tuple(row) for row in await fetch(database_url, ALIKE)]
        await rebuild(database_url)
        assert [tuple(row) for row in await fetch(database_url, ALIKE)] == untouched
        try:
            for statement in (
                *(f'CREATE ROLE "{role}"' for role in (owner, reader, other)),
                f'GRANT CREATE ON SCHEMA public TO "{owner}"',
                f'ALTER TABLE orders OWNER TO "{owner}"',
                f'GRANT SELECT, UPDATE ON orders TO "{reader}" WITH GRANT OPTION',
                "GRANT SELECT ON orders TO PUBLIC",
                f'GRANT UPDATE (status) ON orders TO "{other}"',
                "ALTER TABLE orders SET (fillfactor = 77, toast.autovacuum_enabled = off)",
                f'ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO "{other}"',
                "COMMENT ON TABLE orders IS 'what a person''s report reads'",
            ):
                await fetch(database_url, statement)
            (before,) = [tuple(row) for row in await fetch(database_url, ALIKE)]
            await rebuild(database_url)
            (after,) = [tuple(row) for row in await fetch(database_url, ALIKE)]
            assert after[:2] + after[3:] == before[:2] + before[3:]
            assert sorted(after[2][1:-1].split(",")) == sorted(before[2][1:-1].split(","))
        finally:
            for role in (owner, reader, other):
                await fetch(database_url, f'REASSIGN OWNED BY "{role}" TO CURRENT_USER')
                await fetch(database_url, f'DROP OWNED BY "{role}"')
                await fetch(database_url, f'DROP ROLE "{role}"')


async def test_a_rebuild_refuses_a_table_that_it_cannot_copy(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(1)
            await projected(log, archive)
        await fetch(database_url, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        with pytest.raises(RebuildError, match="row level security"):
            await rebuild(database_url)


async def test_a_dropped_table_is_created_again(redis_url: str, database_url: str) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(10)
            await projected(log, archive)
        before = await table(database_url)
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders'"
        named = sorted(tuple(row) for row in await fetch(database_url, indexes))
        await fetch(database_url, "DROP TABLE orders")
        await rebuild(database_url)
        assert await table(database_url) == before
        assert sorted(tuple(row) for row in await fetch(database_url, indexes)) == named
        await sound(log, archive)


async def test_a_rebuild_without_a_checkpoint_is_refused_and_keeps_the_table(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(2)
            await projected(log, archive)
        before = await table(database_url)
        await fetch(database_url, "DELETE FROM checkpoints")
        with pytest.raises(RebuildError, match="no checkpoint"):
            await rebuild(database_url)
        assert await table(database_url) == before
        todo = plan(await diagnose(log, archive), log.chain, Words())
        assert "checkpoint: there is none" in todo.why
        assert todo.command == "engine repair --yes"
