"""Writes missing proved events to the archive, and deletes rows that nothing proves."""

from __future__ import annotations

import time
from typing import Any

from engine.recovery.diagnosis import Diagnosis
from engine.recovery.plan import Plan
from engine.recovery.recreation.errors import RepairError
from events.archive import Archive, Checkpoint, schema
from events.archive.loss_table import withdraw_losses
from events.archive.page import LabelledEvent
from projections.postgres import migrate
from projections.postgres.archive_writes import mend, name_chain
from projections.postgres.rebuild import rebuild
from projections.postgres.tables import CheckpointConflict

AGAIN = "the projector moved on meanwhile: begin again"


async def make_tables(archive: Archive, diagnosis: Diagnosis) -> None:
    """Creates the missing tables, empty. Raises asyncpg's errors."""
    async with archive.connection(None) as connection:
        await migrate.lay_missing(connection, diagnosis.missing_tables)


async def mend_archive(archive: Archive, diagnosis: Diagnosis, plan: Plan, chain: str) -> None:
    """Writes rows, deletes those that nothing proves, moves the checkpoint."""
    rows = [
        _row(event) for event in diagnosis.proof.rows if event.stored.position <= plan.archive_until
    ]
    after = checkpoint_at(diagnosis, plan.archive_until) if plan.checkpoint else None
    async with archive.connection(None) as connection:
        await migrate.migrate(connection)
        for statement in schema.additions(diagnosis.lacking):
            await connection.execute(statement)
        try:
            await mend(
                connection, diagnosis.checkpoint, after, rows,
                drop_after=plan.drop_after, strays=diagnosis.strays,
            )  # fmt: skip
        except CheckpointConflict:
            raise RepairError(AGAIN) from None
        await migrate.lay_indexes(connection)
        if diagnosis.proof.regained:
            await withdraw_losses(connection, diagnosis.proof.regained)
        if chain and diagnosis.archive_chain not in ("", chain):
            await name_chain(connection, chain)


def checkpoint_at(diagnosis: Diagnosis, position: int) -> Checkpoint:
    """The checkpoint of an archive that ends at a position."""
    before, last = diagnosis.checkpoint, diagnosis.proof.last
    stored = diagnosis.proved.get(position) or last
    # Where the epoch is unknown, one above every possible earlier epoch.
    epoch = before.epoch if before is not None else diagnosis.meta.epoch or int(time.time())
    digest = diagnosis.target.digest_at(position)
    time_us = stored.time_us if stored is not None and position else 0
    return Checkpoint(epoch, position, digest, time_us, before.generation if before else 1, None)


async def make_orders(archive: Archive) -> None:
    """Rebuilds `orders`. Raises RebuildError or asyncpg's errors."""
    await rebuild(archive.url)


def _row(event: LabelledEvent) -> tuple[Any, ...]:
    stored = event.stored
    return (
        stored.position, stored.time_us, event.order_id, event.version, event.name,
        stored.record.hash, stored.record.body,
    )  # fmt: skip
