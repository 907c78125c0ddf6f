"""Founds a lost log again from the archive, in an epoch of its own.

First everybody is fenced off, and stays so to the end: nothing is taken, said or sent. Then comes
what the archive knows, what only the leftovers of the log know, and, once no transaction of before
can land any more, what the chain executed. All of it becomes a log in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from engine.recovery.chain_history import ChainHistory
from engine.telemetry.build import build_id
from events.archive import Archive, Checkpoint, Snapshot
from events.archive.losses import Loss
from events.archive.page import array
from events.commands.idempotency import names_of
from events.ids import ENGINE_STREAM_ID, SYSTEM_STREAM_IDS, first_id_at
from events.log import HEADS_KEPT_MS, EventLog, Stored, other_chain
from events.order import Order
from events.recovery import order_histories
from events.recovery.log_rebuild import LogEntry, LogRebuild, RestoredIdempotencyKey
from events.recovery.order_histories import BrokenChain, OrderHistory
from events.streams.hash_chain import encode_record
from events.types import TERMINAL, EngineStatus
from projections.postgres import tables

FENCED_S = 3.0
"""Every process has noticed by then: gateways look twice a second."""
POLL_S = 0.2
ORDERS = 500
LOCK = 0x6F656566  # "oeef": one repair at a time
BEHIND_S = 200.0
"""So far our node may be behind a builder's; what lies further ahead is of another chain."""
CLOCKS_MS = 600_000
"""How far the clock of an order's last writer may be from that of the log's server."""
CREATION_MS = HEADS_KEPT_MS // 2
"""So much older than its first event an order's id may be: the log refuses others."""


class RepairError(Exception):
    """Nothing was founded; the message says why."""


class Repaired(NamedTuple):
    """What was done."""

    epoch: int
    position: int
    """The newest archived one: the log goes on behind it."""
    open_orders: int
    adopted: list[str]
    """Orders that only the lost log had: taken over."""
    torn: list[str]
    """Orders of which the lost log had said more than the archive knows: that is void."""
    sent: list[str]
    """Orders whose recorded transaction was executed though no send was archived."""
    parked: list[str]
    """Orders that were executed by a transaction nobody knows: parked."""
    strangers: list[str]
    """Orders that were executed and that nobody knows."""
    unreadable: int
    keys: int


async def _checkpoint(archive: Archive) -> Checkpoint:
    checkpoint = await archive.checkpoint()
    if checkpoint is None and await archive.read(0, 1):
        raise RepairError("the archive has events and no checkpoint: restore it from a backup")
    if checkpoint is None or not checkpoint.position:
        raise RepairError("the archive is empty: there is nothing to found a log from")
    return checkpoint


async def rebuild_log(
    log: EventLog,
    archive: Archive,
    wallet: ChainHistory,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Repaired:
    """Fences, gathers, waits, asks the chain, founds. Can be begun again wherever it broke off.

    Raises RepairError, ChainError, LogError, ArchiveUnavailable or asyncpg's errors.
    """
    theirs = await archive.chain()
    if theirs and theirs != log.chain:  # to ask ours what was executed would be to hear "nothing"
        raise RepairError(other_chain("archive", theirs))
    async with archive.alone(LOCK) as alone:
        if not await alone():  # the slower one would put its old heads under the log of the other
            raise RepairError("another repair is under way")
        return await _rebuild(log, archive, wallet, progress, alone)


async def _rebuild(
    log: EventLog,
    archive: Archive,
    wallet: ChainHistory,
    progress: Callable[[int, int], None],
    still_alone: Callable[[], Awaitable[bool]],
) -> Repaired:
    work = LogRebuild(log.url, log.keys)
    try:
        # Before anybody is fenced off.
        async with archive.snapshot() as snapshot:
            end = await _end(snapshot, await _checkpoint(archive))
            since_us = await _unknown_since_us(snapshot, end)
        await wallet.reaches(since_us)
        before = await work.epoch()
        await work.fence()
        fenced_at, began = time.monotonic(), await wallet.finalized()
        last = await wallet.last_height()
        checkpoint = await _checkpoint(archive)
        gathered = await _gather(work, log, archive, checkpoint)
        last = _latest(last, gathered.heights, await wallet.blocks_in(BEHIND_S))
        while (now := await wallet.finalized()) <= last or time.monotonic() - fenced_at < FENCED_S:
            progress(min(now, last) - began, last - began)
            await asyncio.sleep(POLL_S)
        epoch = max(before, checkpoint.epoch) + 1
        return await _write_log(
            work, log, archive, wallet, checkpoint, gathered, epoch=epoch, still_alone=still_alone
        )
    finally:
        await work.close()


def _latest(last: int, heights: Iterable[int], behind: int) -> int:
    """The height after which nothing lands: a builder's node may have been ahead of ours, by so
    many blocks.
    """
    return max([last, *(height for height in heights if height <= last + behind)])


async def _unknown_since_us(snapshot: Snapshot, end: Stored) -> int:
    """Since when something may have been executed of which the archive knows nothing: its end, or
    the first transaction that it knows to be out. What rests since long was not sent before that.
    """
    return min(end.time_us - CREATION_MS * 1000, await snapshot.oldest_sent_us() or end.time_us)


class _Gathered(NamedTuple):
    lives: dict[str, OrderHistory]
    """Orders that are open, and the engine itself."""
    last: Stored
    names: list[RestoredIdempotencyKey]
    leftovers: order_histories.UnarchivedEvents
    unknown_since_us: int
    """See `_unknown_since_us`."""
    heights: list[int]
    """The last heights at which transactions that anybody knows of are valid, those of leftovers
    among them: what they say is void, and may be out all the same."""


async def _gather(
    work: LogRebuild, log: EventLog, archive: Archive, checkpoint: Checkpoint
) -> _Gathered:
    histories: dict[str, OrderHistory] = {}
    names: list[RestoredIdempotencyKey] = []
    now_ms = await work.now_ms()
    # Orders that ended since then have their names still.
    since_ms = now_ms - log.window_ms
    left = [stored for entry in await work.leftovers() for stored in entry]
    named, archived = order_histories.order_ids(left), dict[str, set[bytes]]()
    async with archive.snapshot() as snapshot:
        last = await _end(snapshot, checkpoint)
        unknown_us = await _unknown_since_us(snapshot, last)
        async for order_history in _lives(snapshot, since_ms, named, archived):
            if not order_history.order.terminal:
                histories[order_history.order.id] = order_history
            names += _names(log, order_history, since_ms)
    leftovers = order_histories.classify_unarchived(left, archived)
    for history in leftovers.orders:
        names += _names(log, order_histories.life_of(history), since_ms)
    names.sort(key=lambda name: name.until_ms is None)  # the last one written counts
    open_orders = [life.order for life in histories.values() if isinstance(life.order, Order)]
    transactions = [order.transaction for order in open_orders]
    heights = [
        transaction.last_valid_height for transaction in transactions if transaction is not None
    ]
    return _Gathered(
        histories, last, names, leftovers, unknown_us, heights + order_histories.heights(left)
    )


async def _end(snapshot: Snapshot, checkpoint: Checkpoint) -> Stored:
    """The last archived event. Raises RepairError for an archive that cannot found a log."""
    if await snapshot.unfolded():
        raise RepairError("some orders are not folded: `engine repair` says why")
    last = await snapshot.at([checkpoint.position])
    if not last:
        raise RepairError(f"the archive has no event at its end, {checkpoint.position}")
    return last[0]


async def _lives(
    snapshot: Snapshot, since_ms: int, named: set[str], archived: dict[str, set[bytes]]
) -> AsyncIterator[OrderHistory]:
    """Of all orders that are open or ended lately, folded from their events; notes the hashes of
    those `named`.
    """
    losses = await snapshot.losses()
    since = {loss.order_id: loss for loss in losses.all if loss.resumed is not None}
    async for rows in snapshot.orders():
        for row in rows:
            if row.id in named:
                events = await snapshot.at(row.positions)
                archived[row.id] = {stored.record.hash for stored in events}
        order_rows = [
            row
            for row in rows
            if row.columns["status"] not in TERMINAL
            or row.columns["updated_us"] // 1000 >= since_ms - CLOCKS_MS
        ]
        for at in range(0, len(order_rows), ORDERS):
            some = order_rows[at : at + ORDERS]
            results = await snapshot.at([p for row in some for p in row.positions])
            stored = {event.position: event for event in results}
            for row in some:
                try:
                    history = _life(row.positions, stored, since.get(row.id))
                except (BrokenChain, KeyError) as error:
                    msg = f"the archive is broken ({error}): see `engine audit verify`"
                    raise RepairError(msg) from None
                if history.hash != row.hash:
                    msg = f"order {row.id} is not what its events say: `engine repair` says why"
                    raise RepairError(msg)
                yield history


def _life(
    positions: Sequence[int], stored: Mapping[int, Stored], lost: Loss | None
) -> OrderHistory:
    """From its first event on, or from the state that was kept with its last lost event."""
    if lost is None or lost.resumed is None:
        return order_histories.life_of([stored[p] for p in positions])
    first = stored.get(positions[0])
    asked = None
    with contextlib.suppress(BrokenChain, msgspec.DecodeError):
        asked = order_histories.life_of([first]).submitted if first is not None else None
    later = [stored[p] for p in positions if p > lost.position]
    return order_histories.life_of(later, order_histories.resumed(lost.resumed, asked))


def _names(log: EventLog, history: OrderHistory, since_ms: int) -> list[RestoredIdempotencyKey]:
    """The keys that the order was posted with: while it is open, and then for their window."""
    order, ended_ms = history.order, history.changed_us // 1000
    if history.submitted is None or (order.terminal and ended_ms <= since_ms):
        return []
    until_ms = ended_ms + log.window_ms if order.terminal else None
    keys = names_of(log.keys, order.account, order.id, history.submitted)
    return [RestoredIdempotencyKey(key, keys.value, until_ms) for key in keys.keys] if keys else []


async def _write_log(
    work: LogRebuild,
    log: EventLog,
    archive: Archive,
    wallet: ChainHistory,
    checkpoint: Checkpoint,
    gathered: _Gathered,
    *,
    epoch: int,
    still_alone: Callable[[], Awaitable[bool]],
) -> Repaired:
    now_us = (await work.now_ms()) * 1000
    histories, position = dict(gathered.lives), checkpoint.position
    tail: list[bytes] = []
    adopted: list[str] = []
    for history in gathered.leftovers.orders:
        moved = [
            stored._replace(position=position + n) for n, stored in enumerate(history, start=1)
        ]
        position += len(moved)
        tail += [encode_record(stored.record.hash, bytes(stored.record.body)) for stored in moved]
        order_history = order_histories.life_of(moved)
        histories[order_history.order.id] = order_history
        adopted.append(order_history.order.id)
    open_ones = [i for i in histories if not histories[i].order.terminal]
    executed = await _executed(wallet, open_ones, gathered.unknown_since_us)
    sent: list[str] = []
    parked: list[str] = []
    for order_id, signatures in executed.items():
        order_history = histories[order_id]
        if not (facts := order_histories.reconcile(order_history.order, signatures)):
            continue
        histories[order_id], records = order_histories.after(
            order_history, facts, position + 1, time_us=now_us, build=build_id()
        )
        position += len(facts)
        tail += records
        settled = histories[order_id].order
        (parked if isinstance(settled, Order) and settled.parked else sent).append(order_id)
    last = gathered.last
    data = array(1) + encode_record(last.record.hash, bytes(last.record.body))
    entries = [LogEntry(last.position, last.time_us, data), *_entries(tail, last.position, now_us)]
    known = [life.known() for life in histories.values()]
    # All that may go wrong with the chain goes wrong before anything is written.
    strangers = await _strangers(wallet, archive, gathered.last, histories)
    if not await still_alone():
        raise RepairError("Postgres let go of the lock meanwhile: begin again")
    if not await work.fenced():
        raise RepairError("the log was rebuilt meanwhile: look with `engine repair`")
    await work.heads(known, gathered.names)
    # Postgres first: were it the other way round, orders could be taken into a log that the
    # projector does not know.
    await _move(archive, checkpoint, epoch, sha256(data).digest())
    engine = histories.get(ENGINE_STREAM_ID)
    halted = engine is not None and engine.order.status is EngineStatus.HALTED
    await work.rebuild(
        epoch,
        checkpoint.position,
        entries,
        known,
        halted=halted,
        chain=log.chain,
        inbox_orders=log.inbox_orders,
    )
    left = gathered.leftovers
    count = sum(
        not life.order.terminal
        for order_id, life in histories.items()
        if order_id not in SYSTEM_STREAM_IDS
    )
    return Repaired(
        epoch, checkpoint.position, count, adopted, left.torn, sent, parked, strangers,
        left.unreadable, len(gathered.names),
    )  # fmt: skip


async def _executed(
    wallet: ChainHistory, order_ids: Sequence[str], since_us: int
) -> dict[str, list[str]]:
    signatures: dict[str, list[str]] = {}
    for at in range(0, len(order_ids), ORDERS):
        signatures |= await wallet.executed(order_ids[at : at + ORDERS], since_us)
    return signatures


def _since(last: Stored) -> str:
    """No order that is lost is older than this id."""
    return first_id_at(last.time_us // 1000 - CREATION_MS)


async def _strangers(
    wallet: ChainHistory, archive: Archive, last: Stored, histories: dict[str, OrderHistory]
) -> list[str]:
    """Orders of about the lost time that were executed, and are neither archived nor taken over."""
    executed = await wallet.orders_since(_since(last))
    strangers = []
    for at in range(0, len(executed), ORDERS):
        some = executed[at : at + ORDERS]
        archived = await archive.orders(some)
        strangers += [i for i in some if i not in archived and i not in histories]
    return strangers


def _entries(records: Sequence[bytes], position: int, time_us: int) -> list[LogEntry]:
    """As many records an entry as an append would write."""
    entries = []
    for at in range(0, len(records), ORDERS):
        some = records[at : at + ORDERS]
        position += len(some)
        entries.append(LogEntry(position, time_us, array(len(some)) + b"".join(some)))
    return entries


async def _move(archive: Archive, checkpoint: Checkpoint, epoch: int, digest: bytes) -> None:
    async with archive.connection() as connection:
        try:
            await tables.rebase_checkpoint(connection, checkpoint, epoch, digest)
        except tables.CheckpointConflict:
            raise RepairError("the archive moved meanwhile: begin again") from None
