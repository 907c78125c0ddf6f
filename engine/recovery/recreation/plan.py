"""What is written to recreate a log, and what is reported of it.

Rule of this file: pure. Orders of the leftovers continue behind the archive's end; then the chain's
answers are recorded behind those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from engine.recovery.recreation.gather import Gathered
from engine.telemetry.build import build_id
from events.archive.page import array
from events.hash_chain import encode_record
from events.ids import ENGINE_STREAM_ID, SYSTEM_STREAM_IDS
from events.log import Stored
from events.order import Order
from events.recovery import order_histories
from events.recovery.log_rebuild import LogEntry, RestoredHead, RestoredIdempotencyKey
from events.recovery.order_histories import OrderHistory
from events.types import EngineStatus

ENTRY_RECORDS = 500
"""Records of one log entry, as an append writes them."""


class Adopted(NamedTuple):
    """The orders with those of the leftovers among them, at their new positions."""

    histories: dict[str, OrderHistory]
    """By order id."""
    records: list[bytes]
    """The encoded events behind the archive's end."""
    ids: list[str]
    """The orders that only the leftovers had."""

    @property
    def open_ids(self) -> list[str]:
        """The orders that are open, and the engine itself."""
        return [
            order_id for order_id, history in self.histories.items() if not history.order.terminal
        ]


class RecreationPlan(NamedTuple):
    """The log as it is to stand."""

    position: int
    """Of the newest archived event."""
    entries: list[LogEntry]
    """The newest archived event in an entry of its own, then what is new."""
    digest: bytes
    """Of the first entry: the checkpoint keeps it."""
    heads: list[RestoredHead]
    keys: list[RestoredIdempotencyKey]
    halted: bool
    open_orders: int
    adopted: list[str]
    """Orders that only the lost log had."""
    torn: list[str]
    """Orders of which the lost log had more events than the archive: those events are void."""
    sent: list[str]
    """Orders whose recorded transaction was executed though no send was archived."""
    parked: list[str]
    """Orders that were executed by an unknown transaction."""
    unreadable: int
    """Events of the leftovers that belong to no order."""


def adopt(gathered: Gathered) -> Adopted:
    """Appends the orders that only the leftovers have to the archived ones."""
    histories = dict(gathered.histories)
    position = gathered.last.position
    records: list[bytes] = []
    ids: list[str] = []
    for events in gathered.leftovers.orders:
        moved = [
            stored._replace(position=position + number)
            for number, stored in enumerate(events, start=1)
        ]
        position += len(moved)
        records += [encode_record(event.record.hash, bytes(event.record.body)) for event in moved]
        history = order_histories.life_of(moved)
        histories[history.order.id] = history
        ids.append(history.order.id)
    return Adopted(histories, records, ids)


def plan_recreation(
    gathered: Gathered, adopted: Adopted, executed: Mapping[str, Sequence[str]], *, now_us: int
) -> RecreationPlan:
    """Records what the chain executed: order id -> signatures. `now_us` is the time of these
    events, by the log server's clock.
    """
    last = gathered.last
    histories, records = dict(adopted.histories), list(adopted.records)
    sent: list[str] = []
    parked: list[str] = []
    for order_id, signatures in executed.items():
        history = histories[order_id]
        facts = order_histories.reconcile(history.order, signatures)
        if not facts:
            continue
        position = last.position + len(records) + 1
        histories[order_id], recorded = order_histories.after(
            history, facts, position, time_us=now_us, build=build_id()
        )
        records += recorded
        if _is_parked(histories[order_id]):
            parked.append(order_id)
        else:
            sent.append(order_id)
    first = array(1) + encode_record(last.record.hash, bytes(last.record.body))
    return RecreationPlan(
        position=last.position,
        entries=[
            LogEntry(last.position, last.time_us, first),
            *_entries(records, last, time_us=now_us),
        ],
        digest=sha256(first).digest(),
        heads=[history.known() for history in histories.values()],
        keys=gathered.keys,
        halted=_is_halted(histories.get(ENGINE_STREAM_ID)),
        open_orders=sum(
            not history.order.terminal
            for order_id, history in histories.items()
            if order_id not in SYSTEM_STREAM_IDS
        ),
        adopted=adopted.ids,
        torn=gathered.leftovers.torn,
        sent=sent,
        parked=parked,
        unreadable=gathered.leftovers.unreadable,
    )


def _is_parked(history: OrderHistory) -> bool:
    return isinstance(history.order, Order) and bool(history.order.parked)


def _is_halted(engine: OrderHistory | None) -> bool:
    return engine is not None and engine.order.status is EngineStatus.HALTED


def _entries(records: Sequence[bytes], last: Stored, *, time_us: int) -> list[LogEntry]:
    """The records behind the `last` event, as many an entry as an append writes."""
    entries, position = [], last.position
    for start in range(0, len(records), ENTRY_RECORDS):
        page = records[start : start + ENTRY_RECORDS]
        position += len(page)
        entries.append(LogEntry(position, time_us, array(len(page)) + b"".join(page)))
    return entries
