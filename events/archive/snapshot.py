"""A consistent snapshot of the archive, for audits and proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import asyncpg

from events.archive import schema
from events.archive.loss_table import load_losses
from events.archive.losses import Losses
from events.archive.page import LabelledEvent
from events.archive.reader import (
    EVENTS,
    PAGE_EVENTS,
    PAGE_S,
    PROJECTOR,
    Checkpoint,
    load_checkpoint,
    stored,
)
from events.log import Stored

NO_ORDER = "00000000-0000-0000-0000-000000000000"
"""The order id of an event that cannot be read."""


TABLES = ("events", "orders", "checkpoints", "projection_parked", "migrations")
LABELLED = ("position", "time_us", "hash", "body", "order_id", "version", "type")


_DAMAGED = (
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.DatatypeMismatchError,
    asyncpg.WrongObjectTypeError,
)


class SchemaDamaged(Exception):
    """A table differs from the migrations: a column is missing or has another type."""


class OrderRow(NamedTuple):
    """A row of the `orders` table."""

    id: str
    version: int
    hash: bytes
    positions: tuple[int, ...]
    state: bytes
    columns: dict[str, Any]
    """All columns, by name."""


class Snapshot:
    """Reads Postgres at one moment, in one transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._lacking: tuple[str, ...] = ()

    async def damaged_tables(self) -> dict[str, list[str]]:
        """Table -> columns that it lacks or has with another type."""
        rows = await self._fetch(schema.QUERY, TABLES)
        return schema.damaged([tuple(row) for row in rows])

    def without(self, lacking: Sequence[str]) -> None:
        """Reads `events` as if these columns were empty. Raises SchemaDamaged where one of them
        cannot be restored.
        """
        if lost := sorted(set(lacking) - set(schema.NEUTRAL)):
            raise SchemaDamaged(f"events has lost what nothing else tells: {', '.join(lost)}")
        self._lacking = tuple(lacking)

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint."""
        return await load_checkpoint(self._connection)

    async def events(self, after: int, until: int = 2**63 - 1) -> AsyncIterator[list[Stored]]:
        """All events after a position, with their exact bytes, undecoded."""
        query = EVENTS + "WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
        while rows := await self._fetch(query, after, until, PAGE_EVENTS):
            yield [stored(row) for row in rows]
            after = rows[-1]["position"]

    async def orders(self) -> AsyncIterator[list[OrderRow]]:
        """All projected orders, by id."""
        after: str | None = None  # no id as start: every row has to be read
        query = "SELECT * FROM orders WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2"
        while rows := await self._fetch(query, after, PAGE_EVENTS):
            yield [_order_row(row) for row in rows]
            after = str(rows[-1]["id"])

    async def some(self, order_ids: Sequence[str]) -> list[OrderRow]:
        """These projected orders."""
        query = "SELECT * FROM orders WHERE id = ANY($1::uuid[])"
        return [_order_row(row) for row in await self._fetch(query, order_ids)]

    async def labelled(self, after: int = -(2**63)) -> AsyncIterator[LabelledEvent]:
        """All events after a position, in order, with the columns beside the body."""
        query = (
            schema.select(LABELLED, self._lacking)
            + "WHERE position > $1 ORDER BY position LIMIT $2"
        )
        while rows := await self._fetch(query, after, PAGE_EVENTS):
            for row in rows:
                yield LabelledEvent(stored(row), str(row[4]), row[5], row[6])
            after = rows[-1][0]

    async def last_position(self) -> int:
        """The last position with a row; 0 for an empty table."""
        return int((await self._fetch("SELECT coalesce(max(position), 0) FROM events"))[0][0])

    async def more_than(self, count: int) -> bool:
        """Whether there are more than `count` events."""
        query = "SELECT count(*) FROM (SELECT FROM events LIMIT $1) AS first_ones"
        return int((await self._fetch(query, count + 1))[0][0]) > count

    async def newest(self, first: int, last: int, limit: int = 100) -> list[Stored]:
        """The newest events of a range of positions, newest first."""
        columns = schema.select(LABELLED[:4], self._lacking)
        query = columns + "WHERE position BETWEEN $1 AND $2 ORDER BY position DESC LIMIT $3"
        return [stored(row) for row in await self._fetch(query, first, last, limit)]

    async def chain(self) -> str:
        """The chain on which the archived orders trade; empty while it is not known."""
        query = "SELECT to_jsonb(c) ->> 'chain' FROM checkpoints c WHERE name = $1"
        rows = await self._fetch(query, PROJECTOR)  # the column may be younger than the database
        return (rows[0][0] or "") if rows else ""

    async def missing_tables(self) -> list[str]:
        """The tables of the archive that do not exist."""
        query = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL"
        return [row[0] for row in await self._fetch(query, TABLES)]

    async def indexes(self) -> list[tuple[str, str, bool]]:
        """(table, definition, valid) of each index of the archive's tables."""
        query = (
            "SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid),"
            " indisvalid AND indisready FROM pg_index"
            " WHERE indrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)"
        )
        return [tuple(row) for row in await self._fetch(query, TABLES)]

    async def finds_orders(self) -> bool:
        """Whether the function `order_events` exists."""
        query = "SELECT to_regprocedure('order_events(uuid)') IS NOT NULL"
        return bool((await self._fetch(query))[0][0])

    async def parked(self) -> list[str]:
        """Orders with events that could not be folded."""
        return [str(row[0]) for row in await self._fetch("SELECT order_id FROM projection_parked")]

    async def at(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions, in order."""
        query = EVENTS + "WHERE position = ANY($1::bigint[]) ORDER BY position"
        return [stored(row) for row in await self._fetch(query, positions)]

    async def oldest_sent_us(self) -> int | None:
        """When the oldest submitted order was created, in µs; None where there is none."""
        query = "SELECT min(created_us) FROM orders WHERE status = 'submitted'"
        sent_us: int | None = (await self._fetch(query))[0][0]
        return sent_us

    async def unfolded(self) -> int:
        """The number of orders with events that could not be folded."""
        return int((await self._fetch("SELECT count(*) FROM projection_parked"))[0][0])

    async def losses(self) -> Losses:
        """All accepted losses."""
        try:
            return await load_losses(self._connection)
        except _DAMAGED as error:
            raise SchemaDamaged(str(error)) from error

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        try:
            rows: list[Any] = await self._connection.fetch(query, *values, timeout=PAGE_S)
        except _DAMAGED as error:
            raise SchemaDamaged(str(error)) from error
        return rows


def _order_row(row: Any) -> OrderRow:
    columns = dict(row)
    return OrderRow(
        str(row["id"]),
        row["version"],
        row["hash"],
        tuple(row["positions"]),
        row["state"],
        columns,
    )
