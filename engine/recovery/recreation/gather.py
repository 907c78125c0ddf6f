"""Reads what is known of the orders: from the archive, and from the leftovers of the lost log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.recovery.recreation.errors import RepairError
from events.archive import Archive, Checkpoint, OrderRow, Snapshot
from events.archive.losses import Loss
from events.commands.idempotency import names_of
from events.log import HEADS_KEPT_MS, EventLog, Stored
from events.order import Order
from events.recovery import order_histories
from events.recovery.log_rebuild import LogRebuild, RestoredIdempotencyKey
from events.recovery.order_histories import BrokenChain, OrderHistory
from events.types import TERMINAL

PAGE_ORDERS = 500
"""Orders whose events are read at once."""
CLOCK_SKEW_MS = 600_000
"""How far the clock of an order's last writer may be from that of the log's server."""
CREATION_MS = HEADS_KEPT_MS // 2
"""So much older than its first event an order's id may be: the log refuses others."""


class Gathered(NamedTuple):
    """What archive and leftovers hold of the orders."""

    histories: dict[str, OrderHistory]
    """Archived orders that are open, and the engine itself, by id."""
    last: Stored
    """The newest archived event."""
    keys: list[RestoredIdempotencyKey]
    """Where a key occurs twice, the later one counts."""
    leftovers: order_histories.UnarchivedEvents
    unknown_since_us: int
    """See `unknown_since_us`."""
    heights: list[int]
    """The last valid block heights of all recorded transactions. Those that are recorded in the
    leftovers only count too: their events are void, but they may have been sent."""


async def checkpoint_of(archive: Archive) -> Checkpoint:
    """Returns the archive's checkpoint. Raises RepairError for an archive without one, or without
    events.
    """
    checkpoint = await archive.checkpoint()
    if checkpoint is None and await archive.read(0, 1):
        raise RepairError("the archive has events and no checkpoint: restore it from a backup")
    if checkpoint is None or not checkpoint.position:
        raise RepairError("the archive is empty: there is nothing to recreate a log from")
    return checkpoint


async def newest_event(snapshot: Snapshot, checkpoint: Checkpoint) -> Stored:
    """Returns the newest archived event. Raises RepairError for an archive that is not complete."""
    if await snapshot.unfolded():
        raise RepairError("some orders are not folded: `engine repair` says why")
    newest = await snapshot.at([checkpoint.position])
    if not newest:
        raise RepairError(f"the archive has no event at its end, {checkpoint.position}")
    return newest[0]


async def unknown_since_us(snapshot: Snapshot, end: Stored) -> int:
    """Since when an order may have been executed without the archive's knowledge: the archive's
    end, less the age of an order at its first event, or the first archived send that is still open.
    """
    return min(end.time_us - CREATION_MS * 1000, await snapshot.oldest_sent_us() or end.time_us)


async def gather(
    work: LogRebuild, log: EventLog, archive: Archive, checkpoint: Checkpoint
) -> Gathered:
    """Reads both stores once; the log is fenced. Raises RepairError for a broken archive."""
    since_ms = await work.now_ms() - log.window_ms  # keys of orders that ended before have expired
    left = [stored for entry in await work.leftovers() for stored in entry]
    named = order_histories.order_ids(left)
    histories: dict[str, OrderHistory] = {}
    archived: dict[str, set[bytes]] = {}
    keys: list[RestoredIdempotencyKey] = []
    async with archive.snapshot() as snapshot:
        last = await newest_event(snapshot, checkpoint)
        unknown_us = await unknown_since_us(snapshot, last)
        losses = await snapshot.losses()
        resumed = {loss.order_id: loss for loss in losses.all if loss.resumed is not None}
        async for rows in snapshot.orders():
            archived |= await _hashes(snapshot, [row for row in rows if row.id in named])
            needed = [row for row in rows if _is_open_or_recent(row, since_ms)]
            async for history in _read_histories(snapshot, needed, resumed):
                if not history.order.terminal:
                    histories[history.order.id] = history
                keys += _keys(log, history, since_ms)
    leftovers = order_histories.classify_unarchived(left, archived)
    for events in leftovers.orders:
        keys += _keys(log, order_histories.life_of(events), since_ms)
    keys.sort(key=lambda key: key.until_ms is None)  # the last one written counts
    heights = [*_archived_heights(histories), *order_histories.heights(left)]
    return Gathered(histories, last, keys, leftovers, unknown_us, heights)


def _archived_heights(histories: Mapping[str, OrderHistory]) -> Iterator[int]:
    for history in histories.values():
        if isinstance(history.order, Order) and history.order.transaction is not None:
            yield history.order.transaction.last_valid_height


def _is_open_or_recent(row: OrderRow, since_ms: int) -> bool:
    """Whether the order is open, or ended so late that its keys may still name it."""
    changed_ms: int = row.columns["updated_us"] // 1000
    return row.columns["status"] not in TERMINAL or changed_ms >= since_ms - CLOCK_SKEW_MS


async def _hashes(snapshot: Snapshot, rows: Sequence[OrderRow]) -> dict[str, set[bytes]]:
    """Order id -> hashes of its archived events."""
    return {
        row.id: {stored.record.hash for stored in await snapshot.at(row.positions)} for row in rows
    }


async def _read_histories(
    snapshot: Snapshot, rows: Sequence[OrderRow], resumed: Mapping[str, Loss]
) -> AsyncIterator[OrderHistory]:
    """Folds the orders from their events, and compares each with its row. Raises RepairError."""
    for start in range(0, len(rows), PAGE_ORDERS):
        page = rows[start : start + PAGE_ORDERS]
        events = await snapshot.at([position for row in page for position in row.positions])
        by_position = {stored.position: stored for stored in events}
        for row in page:
            try:
                history = _fold(row.positions, by_position, resumed.get(row.id))
            except (BrokenChain, KeyError) as error:
                msg = f"the archive is broken ({error}): see `engine audit verify`"
                raise RepairError(msg) from None
            if history.hash != row.hash:
                msg = f"order {row.id} is not what its events say: `engine repair` says why"
                raise RepairError(msg)
            yield history


def _fold(
    positions: Sequence[int], by_position: Mapping[int, Stored], loss: Loss | None
) -> OrderHistory:
    """Folds an order from its first event; after an accepted loss, from the state that was kept
    with the last lost event.
    """
    if loss is None or loss.resumed is None:
        return order_histories.life_of([by_position[position] for position in positions])
    first = by_position.get(positions[0])
    submitted = None
    with contextlib.suppress(BrokenChain, msgspec.DecodeError):
        submitted = order_histories.life_of([first]).submitted if first is not None else None
    later = [by_position[position] for position in positions if position > loss.position]
    return order_histories.life_of(later, order_histories.resumed(loss.resumed, submitted))


def _keys(log: EventLog, history: OrderHistory, since_ms: int) -> list[RestoredIdempotencyKey]:
    """The keys that the order was posted with: while it is open, and for their window after it."""
    order, ended_ms = history.order, history.changed_us // 1000
    if history.submitted is None or (order.terminal and ended_ms <= since_ms):
        return []
    until_ms = ended_ms + log.window_ms if order.terminal else None
    names = names_of(log.keys, order.account, order.id, history.submitted)
    if names is None:
        return []
    return [RestoredIdempotencyKey(key, names.value, until_ms) for key in names.keys]
