"""Brings the database to the schema of this build: `migrations/*.sql` in order, each once.

Rule of this file: a migration that was applied anywhere is never edited. Its hash is stored, and a
migration that changed is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from importlib import resources

import asyncpg

from events.archive.indexes import EXPECTED, index_faults
from events.secret import SecretUrl
from events.telemetry.outages import ARCHIVE

CONNECT_S = 2.0
RETRY_S = 0.5
ANSWER_S = 10.0
"""The longest that a short statement takes. A migration itself has no limit: it may be long."""
TURN_S = 0.1
"""How often a process asks whether another one still migrates."""
_ASIDE = "engine_laid_again"
_LOCK = 0x6F65656D  # "oeem": an advisory lock that no other user of the database takes

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name       text PRIMARY KEY,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(RuntimeError):
    """The database was made by another build; the message says what to do."""


def available() -> dict[str, str]:
    """The migrations of this build: name -> SQL, in order."""
    folder = resources.files("projections.postgres").joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return {file.name: file.read_text(encoding="utf-8") for file in files}


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Applies the missing migrations, one transaction each, and returns their names.

    Safe to call from several processes at once. Raises MigrationError, TimeoutError where the
    server falls silent between migrations, or an error of asyncpg.
    """
    await _lock(connection)
    try:
        await connection.execute(_TABLE, timeout=ANSWER_S)
        rows = await connection.fetch("SELECT name, sha256 FROM migrations", timeout=ANSWER_S)
        return await _apply(connection, {row["name"]: row["sha256"] for row in rows})
    finally:
        if not connection.is_closed():
            async with asyncio.timeout(ANSWER_S):
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _lock(connection: asyncpg.Connection) -> None:
    """Asks for the lock again and again: a wait would never end on a connection that is silent."""
    query = "SELECT pg_try_advisory_lock($1)"
    while True:
        if await connection.fetchval(query, _LOCK, timeout=ANSWER_S):
            return
        await asyncio.sleep(TURN_S)


async def _apply(connection: asyncpg.Connection, applied: dict[str, str]) -> list[str]:
    ours = available()
    if unknown := sorted(set(applied) - set(ours)):
        raise MigrationError(f"the database is of a newer build: it has {unknown[-1]}; upgrade")
    done = []
    for name, sql in ours.items():
        digest = hashlib.sha256(sql.encode()).hexdigest()
        if name not in applied:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO migrations (name, sha256) VALUES ($1, $2)", name, digest
                )
            done.append(name)
        elif applied[name] != digest:
            raise MigrationError(f"migration {name} was changed after it had been applied")
    return done


async def recreate_table(connection: asyncpg.Connection, table: str) -> None:
    """Creates a lost table as the migrations do, empty. Called within a transaction."""
    before = await connection.fetchval("SELECT current_schema()")
    await connection.execute(f"CREATE SCHEMA {_ASIDE}")
    await connection.execute(f"SET LOCAL search_path TO {_ASIDE}")
    for sql in available().values():
        await connection.execute(sql)
    await connection.execute(f"ALTER TABLE {table} SET SCHEMA {before}")
    await connection.execute(f"SET LOCAL search_path TO {before}")
    await connection.execute(f"DROP SCHEMA {_ASIDE} CASCADE")


async def lay_missing(connection: asyncpg.Connection, tables: Sequence[str]) -> None:
    """Creates the tables that are lost or lack columns, empty. Other tables are not touched."""
    async with connection.transaction():
        if "migrations" in tables:
            await connection.execute("DROP TABLE IF EXISTS migrations")
            await connection.execute(_TABLE)
            await connection.executemany(
                "INSERT INTO migrations (name, sha256) VALUES ($1, $2)",
                [(name, hashlib.sha256(sql.encode()).hexdigest())
                 for name, sql in available().items()],
            )  # fmt: skip
        for table in tables:
            if table != "migrations":
                await connection.execute(f"DROP TABLE IF EXISTS {table}")  # it may lack columns
                await recreate_table(connection, table)
        if "events" in tables:  # the function was dropped with the table's type
            await connection.execute(order_events_statement())


async def lay_indexes(connection: asyncpg.Connection) -> None:
    """Creates lost keys and indexes, but for those of `orders`, which a rebuild makes."""
    existing = await connection.fetch(
        "SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
        " WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace ="
        " current_schema()::regnamespace)"
    )
    tables = {table for table, _, _ in EXPECTED.values()} - {"orders"}
    for table, name, _ in index_faults([tuple(row) for row in existing], tables):
        await connection.execute(f"DROP INDEX IF EXISTS {name}")
        on = EXPECTED[name][2]
        await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY {on}")


def order_events_statement() -> str:
    """The SQL that creates `order_events`, the function that returns the events of one order."""
    first = next(iter(available().values()))
    return (
        "CREATE OR REPLACE FUNCTION"
        + first.partition("CREATE FUNCTION")[2].partition("$$;")[0]
        + "$$"
    )


async def migrated(url: SecretUrl | str, stop: asyncio.Event) -> None:
    """Migrates once Postgres answers. Ends early once `stop` is set, also while another process
    migrates or a connection is silent. Raises MigrationError.
    """
    while not stop.is_set():
        try:
            connection = await asyncpg.connect(SecretUrl.of(url).reveal(), timeout=CONNECT_S)
            if await _migrate_until(stop, connection):
                ARCHIVE.over()
                return
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError,
                asyncpg.PostgresError) as error:  # fmt: skip
            # A login, a grant, a full disk, too many connections: an operator corrects it there
            # and does not restart us, and orders do not wait for it.
            ARCHIVE.failed(error)
            await asyncio.sleep(RETRY_S)


async def _migrate_until(stop: asyncio.Event, connection: asyncpg.Connection) -> bool:
    """Migrates and closes the connection. Once `stop` is set, it ends the connection, which rolls a
    migration back, and returns False.
    """
    work = asyncio.create_task(migrate(connection))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return False
        await work
        with contextlib.suppress(OSError, asyncpg.InterfaceError):
            await connection.close(timeout=CONNECT_S)
        return True
    finally:
        # First the connection: a cancelled task would wait for the server's answer to the cancel.
        connection.terminate()
        stopped.cancel()
        work.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
