"""Loads and stores the accepted losses in Postgres."""

from __future__ import annotations

from typing import Any

import asyncpg

from events.archive.losses import Loss, Losses, Resumed

_COLUMNS = (
    "position, order_id, digest, detail, accepted_by, accepted_us, reason,"
    " version, hash, positions, state"
)
_QUERY = f"SELECT {_COLUMNS} FROM accepted_losses ORDER BY position"  # noqa: S608 - no input
_INSERT = (
    f"INSERT INTO accepted_losses ({_COLUMNS})"  # noqa: S608 - no input
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
_DELETE = "DELETE FROM accepted_losses WHERE position = ANY($1::bigint[])"


async def load_losses(connection: asyncpg.Connection) -> Losses:
    """All accepted losses; none in a database of an older build, which lacks the table."""
    if not await connection.fetchval("SELECT to_regclass('accepted_losses') IS NOT NULL"):
        return Losses()
    return Losses([_loss(row) for row in await connection.fetch(_QUERY)])


async def save_losses(connection: asyncpg.Connection, losses: list[Loss]) -> None:
    """Stores accepted losses; earlier ones at these positions are replaced."""
    async with connection.transaction():
        await withdraw_losses(connection, [loss.position for loss in losses])
        await connection.executemany(_INSERT, [_values(loss) for loss in losses])


async def withdraw_losses(connection: asyncpg.Connection, positions: list[int]) -> None:
    """Deletes the accepted losses at these positions."""
    await connection.execute(_DELETE, positions)


def _loss(row: Any) -> Loss:
    *loss, version, digest, positions, state = row
    resumed = None
    if state is not None:
        resumed = Resumed(version or 0, digest or b"", tuple(positions or ()), state)
    position, order_id, gone, detail, by, at_us, reason = loss
    return Loss(position, order_id, gone, detail, by, at_us, reason, resumed)


def _values(loss: Loss) -> tuple[Any, ...]:
    kept = loss.resumed
    more = (None,) * 4 if kept is None else (*kept[:2], list(kept.positions), kept.state)
    return (*loss[:-1], *more)
