"""Writes of a repair to the archive: events that are missing, damaged or of another log.

Rule of this file: one transaction that holds the checkpoint's row, as the projector's do. `orders`
is not touched: a rebuild makes it from the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from events.archive import PROJECTOR, Checkpoint, load_checkpoint
from projections.postgres import copy_watchdog
from projections.postgres.tables import EVENT_COLUMNS, CheckpointConflict

SLICE = 5000


async def mend(
    connection: asyncpg.Connection,
    before: Checkpoint | None,
    after: Checkpoint | None,
    rows: Sequence[tuple[Any, ...]],
    *,
    drop_after: int | None = None,
    strays: Sequence[int] = (),
) -> None:
    """Replaces rows of `events`, deletes `strays` and rows past a position, moves the checkpoint.

    `before`: the checkpoint that the caller read; `after`: the one to write, None to leave it.
    Raises CheckpointConflict where the projector moved it and that matters, or an error of asyncpg.
    """
    async with connection.transaction():
        await connection.execute("SELECT FROM checkpoints WHERE name = $1 FOR UPDATE", PROJECTOR)
        now = await load_checkpoint(connection)
        moved = _place(now) != _place(before)
        if moved and (after is not None or drop_after is not None or before is None):
            raise CheckpointConflict
        for start in range(0, len(rows), SLICE):
            await _replace(connection, rows[start : start + SLICE])
        if strays:
            await connection.execute("DELETE FROM events WHERE position = ANY($1)", strays)
        if drop_after is not None:
            await connection.execute("DELETE FROM events WHERE position > $1", drop_after)
        if after is not None:
            await _put(connection, after)


async def _replace(connection: asyncpg.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    # The time limit is for one slice: a repair has any number of them, and deletes any range.
    async with copy_watchdog.aborting_on_disconnect(connection, within_s=copy_watchdog.WRITE_S):
        await connection.execute(
            "DELETE FROM events WHERE position = ANY($1::bigint[])", [row[0] for row in rows]
        )
        await connection.copy_records_to_table("events", records=rows, columns=EVENT_COLUMNS)


def _place(checkpoint: Checkpoint | None) -> tuple[int, int] | None:
    return None if checkpoint is None else (checkpoint.epoch, checkpoint.position)


async def _put(connection: asyncpg.Connection, at: Checkpoint) -> None:
    # A new generation makes a running projector begin a new session.
    await connection.execute(
        "INSERT INTO checkpoints (name, epoch, position, digest, time_us, generation)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET epoch = $2,"
        " position = $3, digest = $4, time_us = $5, halted = NULL,"
        " generation = greatest(checkpoints.generation, 0) + 1",
        PROJECTOR, at.epoch, at.position, at.digest, at.time_us, max(1, at.generation),
    )  # fmt: skip


async def name_chain(connection: asyncpg.Connection, chain: str) -> None:
    """Writes the chain on which the archived orders trade."""
    await connection.execute("UPDATE checkpoints SET chain = $1 WHERE name = $2", chain, PROJECTOR)
