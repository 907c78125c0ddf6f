"""One moment of the archive, whatever is written meanwhile: for proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import asyncpg

from events.archive.reading import (
    EVENTS,
    PAGE_EVENTS,
    PAGE_S,
    Checkpoint,
    load_checkpoint,
    stored,
)
from events.log.reading import Stored

NO_ORDER = "00000000-0000-0000-0000-000000000000"
"""Stands for the order of an event that cannot be read."""


class OrderRow(NamedTuple):
    """An order as projected."""

    id: str
    version: int
    hash: bytes
    positions: tuple[int, ...]
    state: bytes
    columns: dict[str, Any]
    """All columns, as SQL shows them."""


class Snapshot:
    """Postgres at one moment, whatever is written meanwhile: for proofs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint."""
        return await load_checkpoint(self._connection)

    async def events(self, after: int, until: int = 2**63 - 1) -> AsyncIterator[list[Stored]]:
        """All events after a position, with the exact bytes of each, whatever they are."""
        query = EVENTS + "WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
        while rows := await self._fetch(query, after, until, PAGE_EVENTS):
            yield [stored(row) for row in rows]
            after = rows[-1]["position"]

    async def orders(self) -> AsyncIterator[list[OrderRow]]:
        """All projected orders, by id."""
        after: str | None = None  # not an id: whatever row is there has to be seen
        query = "SELECT * FROM orders WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2"
        while rows := await self._fetch(query, after, PAGE_EVENTS):
            yield [_order_row(row) for row in rows]
            after = str(rows[-1]["id"])

    async def at(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions, in order."""
        query = EVENTS + "WHERE position = ANY($1::bigint[]) ORDER BY position"
        return [stored(row) for row in await self._fetch(query, positions)]

    async def oldest_sent_us(self) -> int | None:
        """When the oldest order was made of which a transaction is out."""
        query = "SELECT min(created_us) FROM orders WHERE status = 'submitted'"
        found: int | None = (await self._fetch(query))[0][0]
        return found

    async def unfolded(self) -> int:
        """How many orders have events that could not be folded."""
        return int((await self._fetch("SELECT count(*) FROM projection_parked"))[0][0])

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        found: list[Any] = await self._connection.fetch(query, *values, timeout=PAGE_S)
        return found


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
