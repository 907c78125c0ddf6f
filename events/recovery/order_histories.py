"""The orders of a log that is rebuilt: from the archive, and from the remains of the lost log.

Rule of this file: pure. An archived order is its archived events plus what the chain reports of it;
an order that only the remains of the log have is taken over unchanged.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import msgspec

from events import streams
from events.archive.losses import Resumed
from events.hash_chain import GENESIS, HashedEvent, follows, new_events
from events.ids import SYSTEM_STREAM_IDS
from events.log import NEVER_MS, POSITIONS_KEPT, Stored, encode_head, next_stage_code
from events.order import Order, executed_reason, may_still_land, was_executed
from events.recovery.log_rebuild import RestoredHead
from events.streams import State, evolve
from events.types import (
    Event,
    Fact,
    OrderParked,
    OrderSubmitted,
    TransactionBuilt,
    TransactionSubmitted,
)


class BrokenChain(Exception):
    """The archived events of an order do not continue each other."""


class OrderHistory(NamedTuple):
    """An order, and the positions of its events."""

    order: State
    hash: bytes
    positions: tuple[int, ...]
    created_us: int
    """By the log server's clock, as is `changed_us`."""
    changed_us: int
    submitted: OrderSubmitted | None

    def known(self) -> RestoredHead:
        """Its head to be written."""
        order, version = self.order, self.order.version
        head = encode_head(version, self.hash, next_stage_code(order), streams.encode(order))
        head += b"".join(position.to_bytes(8) for position in self.positions[-POSITIONS_KEPT:])
        expires_ms = None
        if type(order) is Order and order.expires_at_us is not None and not order.terminal:
            expires_ms = min(-(-order.expires_at_us // 1000), NEVER_MS)
        return RestoredHead(
            order.id, head, self.created_us // 1000, self.changed_us // 1000, expires_ms
        )


def resumed(kept: Resumed, submitted: OrderSubmitted | None) -> OrderHistory:
    """The order with lost events, from the state that was kept. Raises `msgspec.DecodeError`."""
    order = kept.order
    created_us, changed_us = order.created_at_us, order.updated_at_us
    return OrderHistory(order, kept.hash, kept.positions, created_us, changed_us, submitted)


def life_of(history: Sequence[Stored], since: OrderHistory | None = None) -> OrderHistory:
    """Folds a whole history, or the events after `since`. Raises BrokenChain or
    `msgspec.DecodeError`.
    """
    if since is not None and not history:
        return since
    order: State | None = since.order if since is not None else None
    digest = since.hash if since is not None else GENESIS
    submitted = since.submitted if since is not None else None
    for stored in history:
        event, body = stored.record.event(), bytes(stored.record.body)
        expected = (order.version if order else 0) + 1
        if event.version != expected or not follows(digest, body, stored.record.hash):
            raise BrokenChain(f"order {event.order_id}, position {stored.position}")
        digest = stored.record.hash
        if isinstance(event.fact, OrderSubmitted):
            submitted = event.fact
        order = evolve(order, event)
    if order is None:
        raise BrokenChain("an order without events")
    positions = tuple(stored.position for stored in history)
    first, last = history[0].time_us, history[-1].time_us
    if since is not None:
        positions, first = (*since.positions, *positions), since.created_us
    return OrderHistory(order, digest, positions, first, last, submitted)


def reconcile(order: State, executed: Sequence[str]) -> list[Fact]:
    """The facts to append to an open order, given the signatures with which the chain has executed
    it. Events after the archive are lost, possibly a send among them. A recorded transaction is
    confirmed as usual; an unknown one parks the order for an operator.
    """
    if not executed or type(order) is not Order or was_executed(order):
        return []
    transaction = order.transaction
    if transaction is None or [transaction.signature] != list(executed):
        return [OrderParked("repair", executed_reason(executed), "engine")]
    if may_still_land(order):
        return []
    return [TransactionSubmitted(transaction.attempt, transaction.signature)]


def after(
    history: OrderHistory, facts: Sequence[Fact], position: int, *, time_us: int, build: str
) -> tuple[OrderHistory, list[bytes]]:
    """The order after more facts, which begin at a position; and their records."""
    batch = new_events(history.order, history.hash, facts, time_us=time_us, build=build)
    positions = (*history.positions, *range(position, position + len(facts)))
    moved = history._replace(
        order=batch.order, hash=batch.hash, positions=positions, changed_us=time_us
    )
    return moved, batch.records


class UnarchivedEvents(NamedTuple):
    """The events of the lost log's stream that are not archived."""

    orders: list[list[Stored]]
    """Whole histories of orders that the archive does not have."""
    torn: list[str]
    """Archived orders with further events, which are void."""
    unreadable: int
    """The number of events that belong to no known order, or lack their predecessors."""


def classify_unarchived(
    events: Sequence[Stored], archived: Mapping[str, Container[bytes]]
) -> UnarchivedEvents:
    """Classifies the remains by the archived events: order id -> their hashes."""
    histories: dict[str, list[Stored]] = {}
    torn: dict[str, None] = {}
    unreadable = 0
    for stored in events:
        event = _event(stored.record)
        if event is None:
            unreadable += 1
        elif event.order_id in archived:
            if stored.record.hash not in archived[event.order_id]:
                torn[event.order_id] = None
        elif event.order_id not in SYSTEM_STREAM_IDS:
            histories.setdefault(event.order_id, []).append(stored)
    whole = []
    for history in histories.values():
        try:
            life_of(history)
        except BrokenChain:
            unreadable += len(history)
        else:
            whole.append(history)
    return UnarchivedEvents(whole, list(torn), unreadable)


def heights(events: Sequence[Stored]) -> list[int]:
    """The last valid block heights of the transactions that these events built."""
    facts = [event.fact for stored in events if (event := _event(stored.record)) is not None]
    return [fact.last_valid_height for fact in facts if isinstance(fact, TransactionBuilt)]


def order_ids(ids: Sequence[Stored]) -> set[str]:
    """The ids of the orders that these events belong to."""
    return {event.order_id for stored in ids if (event := _event(stored.record)) is not None}


def _event(record: HashedEvent) -> Event | None:
    try:
        return record.event()
    except msgspec.DecodeError:
        return None
