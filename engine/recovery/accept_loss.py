"""Records accepted losses of the archive's events, and the state that their orders continue from.

An order continues from its row in `orders`, or from its head, where that is the state after the
last of its lost events. Without either the order is lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.recovery.diagnosis import Diagnosis
from engine.recovery.reconcile import Lost, Reconciliation
from engine.recovery.recreation.errors import RepairError
from events.archive import Archive
from events.archive.loss_table import save_losses
from events.archive.losses import Loss, Losses, Resumed
from events.audit.inventory import Inventory
from events.ids import parse_order_id
from events.log import EventLog, OrderHead
from events.telemetry.server_clock import now_us as server_now_us
from projections.postgres import migrate

TABLE = "accepted_losses"


class Word(NamedTuple):
    """The person who accepts a loss, and the reason."""

    by: str = ""
    reason: str = ""


async def accept(
    log: EventLog, archive: Archive, diagnosis: Diagnosis, lost: Sequence[Lost], word: Word
) -> None:
    """Records the losses. Raises RepairError, LogError, ArchiveUnavailable or asyncpg's errors."""
    named = {item.order_id for item in lost if item.order_id}
    positions = {item.position for item in lost}
    owners: dict[int, str] = {}
    kept: dict[str, list[Resumed]] = {}
    if "orders" not in diagnosis.missing_tables:
        async with archive.snapshot() as snapshot:
            async for rows in snapshot.orders():
                for row in rows:
                    theirs = positions.intersection(row.positions)
                    owners |= dict.fromkeys(theirs, row.id)
                    if theirs or row.id in named:
                        state = Resumed(row.version, row.hash, row.positions, row.state)
                        kept.setdefault(row.id, []).append(state)
    async for order_id, head in _heads(log):
        theirs = positions.intersection(head.positions)
        owners |= dict.fromkeys(theirs - owners.keys(), order_id)
        if theirs or order_id in named or order_id in owners.values():
            state = Resumed(head.version, head.hash, head.positions, head.body)
            kept.setdefault(order_id, []).append(state)
    owners = {item.position: _order_of(item, owners, kept, diagnosis.proof) for item in lost}
    losses = list(_losses(lost, owners, kept, word, now_us=server_now_us()))
    _no_later([*diagnosis.proof.losses.all, *losses], kept, diagnosis.archived_end)
    async with archive.connection(None) as connection:
        await migrate.migrate(connection)
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", TABLE):
            await migrate.lay_missing(connection, [TABLE])
        await save_losses(connection, losses)


async def _heads(log: EventLog) -> AsyncIterator[tuple[str, OrderHead]]:
    """The heads that can be split into their parts."""
    inventory = Inventory(log.url, log.keys)
    try:
        async for ids in inventory.all_heads():
            for order_id, head in (await inventory.heads(ids)).items():
                if head is not None and head.version:
                    yield order_id, head
    finally:
        await inventory.close()


def _order_of(
    lost: Lost,
    owners: Mapping[int, str],
    kept: Mapping[str, Sequence[Resumed]],
    proof: Reconciliation,
) -> str:
    """The order that lacks the event. The id in a damaged row counts only where that order is
    incomplete without it.
    """
    if lost.position in owners:
        return owners[lost.position]
    order_id = parse_order_id(lost.order_id) or ""
    whole = any((k.version, k.hash) == proof.chain(order_id) for k in kept.get(order_id, ()))
    return "" if whole else order_id


def _losses(
    lost: Sequence[Lost],
    owners: Mapping[int, str],
    kept: Mapping[str, Sequence[Resumed]],
    word: Word,
    *,
    now_us: int,
) -> Iterable[Loss]:
    for item in lost:
        order_id = owners[item.position]
        fitting = (k for k in kept.get(order_id, ()) if k.fits(order_id, item.position))
        yield Loss(
            item.position, order_id, item.digest, item.detail, word.by, now_us, word.reason,
            next(fitting, None),
        )  # fmt: skip


def _no_later(
    losses: Iterable[Loss], kept: Mapping[str, Sequence[Resumed]], archived_end: int
) -> None:
    """Refuses to drop an order that has events which are not archived yet."""
    by_position = {loss.position: loss for loss in losses}  # the newer ones count
    for order_id in Losses(by_position.values()).forgotten:
        ends = [k.positions[-1] for k in kept.get(order_id, ()) if k.positions]
        if max(ends, default=0) > archived_end:
            raise RepairError(
                f"the newest events of order {order_id} are not archived yet: start the engine,"
                " and repair once it has archived them"
            )
