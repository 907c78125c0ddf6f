"""Writes to the tables: one transaction per chunk, which begins by moving the checkpoint.

Rule of this file: the checkpoint's row is the lock. It moves from exactly the expected position, or
nothing is written: so a second projector, a COMMIT whose answer was lost and a rebuild under way
are all detected, and no event is applied twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec

from events import streams
from events.archive import PROJECTOR, Checkpoint
from events.types import TERMINAL
from projections.postgres import copy_watchdog
from projections.postgres.binary_copy import slices
from projections.postgres.order_rows import COLUMNS, Changes, ProjectedOrder

EVENT_COLUMNS = ("position", "time_us", "order_id", "version", "type", "hash", "body")


class CheckpointConflict(Exception):
    """The checkpoint was moved by another transaction: load it again."""


class Parked(NamedTuple):
    """An event that is archived and not folded into its order."""

    order_id: str
    reason: str
    position: int


class ProjectionBatch(NamedTuple):
    """A chunk of the log, folded and ready to be written."""

    before: Checkpoint
    after: Checkpoint
    events: list[tuple[Any, ...]]
    changes: Changes
    parked: Sequence[Parked]


async def write(connection: asyncpg.Connection, batch: ProjectionBatch) -> None:
    """Writes a batch, all or nothing. Raises CheckpointConflict, or an error of asyncpg."""
    within_s = copy_watchdog.WRITE_S
    async with (
        copy_watchdog.aborting_on_disconnect(connection, within_s=within_s),
        connection.transaction(),
    ):
        await _advance(connection, batch.before, batch.after)
        await connection.copy_records_to_table(
            "events", records=batch.events, columns=EVENT_COLUMNS
        )
        await write_orders(connection, "orders", batch.changes)
        if batch.parked:
            await connection.executemany(
                "INSERT INTO projection_parked VALUES ($1, $2, ARRAY[$3::bigint])"
                " ON CONFLICT (order_id) DO UPDATE"
                " SET positions = projection_parked.positions || EXCLUDED.positions",
                batch.parked,
            )


async def _advance(connection: asyncpg.Connection, before: Checkpoint, after: Checkpoint) -> None:
    moved = await connection.execute(
        "UPDATE checkpoints SET position = $1, digest = $2, time_us = $3, halted = NULL"
        " WHERE name = $4 AND position = $5 AND epoch = $6 AND generation = $7",
        after.position, after.digest, after.time_us,
        PROJECTOR, before.position, before.epoch, before.generation,
    )  # fmt: skip
    if moved != "UPDATE 1":
        raise CheckpointConflict


async def write_orders(connection: asyncpg.Connection, table: str, changes: Changes) -> None:
    """Writes rows into a table of orders, and replaces those that exist.

    Deleting and copying is faster than updating: 12 µs against 16 µs an order in Postgres, as
    nearly every update changes an indexed column anyway.
    """
    if changes.replaced:
        await connection.execute(
            f"DELETE FROM {table} WHERE id = ANY($1::uuid[])",  # noqa: S608 - one of two names
            changes.replaced,
        )
    if changes.rows:
        await connection.copy_to_table(
            table, source=slices(changes.rows), columns=COLUMNS, format="binary"
        )


async def create_checkpoint(connection: asyncpg.Connection, epoch: int) -> None:
    """Creates the checkpoint where there is none: on the projector's first run."""
    await connection.execute(
        "INSERT INTO checkpoints (name, epoch, position, digest, time_us) VALUES ($1, $2, 0, '', 0)"
        " ON CONFLICT DO NOTHING",
        PROJECTOR,
        epoch,
    )


async def bind(connection: asyncpg.Connection, chain: str) -> str:
    """Sets the chain on which the archived orders trade, unless it is set, and returns it."""
    theirs: str = await connection.fetchval(
        "UPDATE checkpoints SET chain = coalesce(chain, nullif($1, '')) WHERE name = $2"
        " RETURNING coalesce(chain, '')",
        chain,
        PROJECTOR,
    )
    return theirs


async def rebase_checkpoint(
    connection: asyncpg.Connection, before: Checkpoint, epoch: int, digest: bytes
) -> None:
    """Moves the checkpoint to a new epoch of the log. Raises CheckpointConflict."""
    moved = await connection.execute(
        "UPDATE checkpoints SET epoch = $1, digest = $2, halted = NULL"
        " WHERE name = $3 AND position = $4 AND epoch = $5",
        epoch, digest, PROJECTOR, before.position, before.epoch,
    )  # fmt: skip
    if moved != "UPDATE 1":
        raise CheckpointConflict


async def halt(connection: asyncpg.Connection, reason: str | None) -> None:
    """Writes why the projector stopped; None: it runs again."""
    await connection.execute(
        "UPDATE checkpoints SET halted = $1 WHERE name = $2 AND halted IS DISTINCT FROM $1",
        reason,
        PROJECTOR,
    )


async def load_orders(
    connection: asyncpg.Connection, order_ids: Sequence[str], table: str = "orders"
) -> list[ProjectedOrder]:
    """Orders as the table has them. Those that it lacks, or that cannot be read, are left out."""
    rows = await connection.fetch(
        f"SELECT state, hash, positions FROM {table} WHERE id = ANY($1::uuid[])",  # noqa: S608
        order_ids,
    )
    loaded = []
    for state, digest, positions in rows:
        with contextlib.suppress(msgspec.DecodeError):
            loaded.append(ProjectedOrder(streams.decode(state), digest, list(positions)))
    return loaded


async def load_parked(connection: asyncpg.Connection) -> set[str]:
    """The orders whose events are archived and no longer folded."""
    rows = await connection.fetch("SELECT order_id FROM projection_parked")
    return {str(row["order_id"]) for row in rows}


async def ended_since(connection: asyncpg.Connection, position: int) -> list[str]:
    """Ended orders that have an event after a position."""
    rows = await connection.fetch(
        "SELECT DISTINCT e.order_id FROM events e JOIN orders o ON o.id = e.order_id"
        " WHERE e.position > $1 AND o.status = ANY($2)",
        position,
        sorted(TERMINAL),
    )
    return [str(row["order_id"]) for row in rows]
