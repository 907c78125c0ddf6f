"""Reads events, singly or in large pages, and the checkpoint over one connection."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec

from events.archive.page import Page, array
from events.hash_chain import HashedEvent
from events.log import Stored

PAGE_S = 30.0
"""The time limit of one page of a long read, for which only an operator waits."""

PAGE_EVENTS = 2000
"""Events a page of a long read: half a megabyte, so that Postgres sends much of the next page
while this one is folded."""

PROJECTOR = "projector"
"""The checkpoint's name."""

EVENTS = "SELECT position, time_us, hash, body FROM events "
"""Rows that `stored` takes."""

# Joined by Postgres, a page is one value: asyncpg spends 2 µs on a row, msgspec 0.6 on an event.
_PAGE = """
SELECT string_agg(int8send(position), ''::bytea), string_agg(int8send(time_us), ''::bytea),
       string_agg(hash, ''::bytea), string_agg(body, ''::bytea)
FROM (SELECT position, time_us, hash, body FROM events
      WHERE position > $1 AND position <= $2 AND position <> ALL($4::bigint[])
      ORDER BY position LIMIT $3) AS page
"""


class Checkpoint(NamedTuple):
    """The progress of the projector."""

    epoch: int
    position: int
    digest: bytes
    """SHA-256 of the log entry that holds `position`."""
    time_us: int
    """When the event at `position` was written, by the log server's clock."""
    generation: int
    """Incremented by each rebuild of the tables."""
    halted: str | None
    """Why the projector has halted; None while it runs."""


async def load_checkpoint(connection: asyncpg.Connection) -> Checkpoint | None:
    """The projector's checkpoint as this connection sees it."""
    row = await connection.fetchrow(
        "SELECT epoch, position, digest, time_us, generation, halted FROM checkpoints"
        " WHERE name = $1",
        PROJECTOR,
    )
    return Checkpoint(*row) if row else None


async def read_pages(
    connection: asyncpg.Connection,
    after: int,
    until: int,
    *,
    events: int = PAGE_EVENTS,
    without: Sequence[int] = (),
) -> AsyncGenerator[Page]:
    """The events in (after, until] as this connection sees them, the next page prefetched.

    `without`: positions that are skipped, whether or not they hold an event.
    """
    following = _fetch(connection, after, until, events, without)
    try:
        while row := (await following)[0]:
            if row[0] is None:
                return
            positions = struct.unpack(f">{len(row[0]) // 8}q", row[0])
            following = _fetch(connection, positions[-1], until, events, without)
            await asyncio.sleep(0)  # sends the query: Postgres works while the caller folds
            times = struct.unpack(f">{len(positions)}q", row[1])
            yield Page(positions, times, row[2], array(len(positions)) + row[3])
    finally:
        following.cancel()
        await asyncio.wait([following])


def _fetch(
    connection: asyncpg.Connection, after: int, until: int, events: int, without: Sequence[int]
) -> asyncio.Task[list[Any]]:
    skipped = [position for position in without if after < position <= until]
    query = connection.fetch(_PAGE, after, until, events, skipped, timeout=PAGE_S)
    return asyncio.get_running_loop().create_task(query)


def stored(row: Any) -> Stored:
    """A row of `EVENTS`."""
    return Stored(row[0], row[1], HashedEvent(row[2], msgspec.Raw(row[3])))
