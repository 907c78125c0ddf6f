"""Replay: folds every order from its events alone, and repeats the recorded decisions.

Rule of this file: pure. The same events give the same state hash on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from events import streams
from events.archive import Page
from events.archive.losses import NONE, Loss, Losses
from events.ids import SYSTEM_STREAM_IDS
from events.order import Order, advance
from events.streams import State, evolve
from events.types import Event, Fact, OrderCancelled, OrderConfirmed, OrderExpired, OrderFailed

Check = Callable[[Order, Any], Sequence[Fact] | None]
"""Repeats the decision of a stage, given the order before the fact and the inputs that the fact
recorded; None where the fact does not record them. May raise: a refusal is a decision too.
"""

Checks = Mapping[type[Fact], Check]

_ENDS = frozenset({OrderConfirmed, OrderFailed, OrderExpired, OrderCancelled})
_no_order = Order("")


class Unreadable(Exception):
    """An event that this build cannot read, or that does not continue its order."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"the event at position {position} cannot be folded: {reason}")
        self.position = position


class Mismatch(NamedTuple):
    """A decision that differs when it is repeated."""

    position: int
    order_id: str
    recorded: str
    decided: str


class Replay:
    """Folds pages of events. With `checks`, repeats the decisions as well."""

    def __init__(self, checks: Checks | None = None, losses: Losses = NONE) -> None:
        self.events = 0
        self.first = 0
        self.last = 0
        self.checked = 0
        self.mismatches: list[Mismatch] = []
        self._checks = checks
        self._losses = losses
        # Orders that ended are kept encoded, which takes a third of the memory.
        self._orders: dict[str, State | bytes] = {}

    @property
    def orders(self) -> int:
        """The number of orders."""
        return len(self._orders) - sum(order_id in self._orders for order_id in SYSTEM_STREAM_IDS)

    def page(self, page: Page) -> None:
        """Folds the events of a page. Raises Unreadable."""
        for part in self._losses.parts(page) if self._losses else (page,):
            for loss in self._losses.between(self.last + 1, part.positions[0] - 1):
                self._resume(loss)
            self._fold(part)

    def _resume(self, loss: Loss) -> None:
        """Continues an order from the state that was kept with an accepted loss."""
        if loss.resumed is not None:
            order = loss.resumed.order
            self._orders[order.id] = streams.encode(order) if order.terminal else order
        elif loss.order_id in self._losses.forgotten:
            self._orders.pop(loss.order_id, None)

    def _fold(self, page: Page) -> None:
        try:
            events = page.events()
        except msgspec.DecodeError:
            raise _unreadable(page) from None
        if self._checks is None:
            held, ends, encode = self._orders, _ENDS, streams.encode
            for event in events:
                order_id = event.order_id
                order = held.get(order_id)
                if type(order) is Order:
                    if event.version != order.version + 1:
                        raise _discontinuous(page, events, event, order)
                    advance(order, event)
                else:
                    known = streams.decode(order) if isinstance(order, bytes) else order
                    if event.version != (known.version if known is not None else 0) + 1:
                        raise _discontinuous(page, events, event, known)
                    held[order_id] = order = evolve(known, event)
                if type(event.fact) in ends:
                    held[order_id] = encode(order)
        else:
            for position, event in zip(page.positions, events, strict=True):
                self._checked(position, event)
        self.events += len(events)
        self.first = self.first or page.positions[0]
        self.last = page.positions[-1]

    def _checked(self, position: int, event: Event) -> None:
        before = self._orders.get(event.order_id)
        if isinstance(before, bytes):
            before = streams.decode(before)
        if event.version != (before.version if before is not None else 0) + 1:
            raise Unreadable(position, _versions(event, before))
        check = (self._checks or {}).get(type(event.fact))
        if check is not None:
            order = before if isinstance(before, Order) else _no_order
            self._compare(position, event, check, order)
        after = evolve(before, event)
        self._orders[event.order_id] = streams.encode(after) if type(event.fact) in _ENDS else after

    def _compare(self, position: int, event: Event, check: Check, before: Order) -> None:
        try:
            decided: object = check(before, event.fact)
        except Exception as error:  # a refusal or a bug: either differs from the record
            decided = error
        if decided is None:
            return
        self.checked += 1
        if not isinstance(decided, Sequence) or event.fact not in decided:
            self.mismatches.append(
                Mismatch(position, event.order_id, repr(event.fact), repr(decided))
            )

    def state_hash(self) -> str:
        """SHA-256 over all encoded orders, in the order of their ids."""
        total = sha256()
        for order_id in sorted(self._orders):
            order = self._orders[order_id]
            total.update(order if isinstance(order, bytes) else streams.encode(order))
        return total.hexdigest()

    def order(self, order_id: str) -> State | None:
        """An order as it is after the last page; None: unknown."""
        order = self._orders.get(order_id)
        return streams.decode(order) if isinstance(order, bytes) else order


def _versions(event: Event, order: State | None) -> str:
    version = order.version if order is not None else 0
    return f"version {event.version} of order {event.order_id} follows {version}"


def _discontinuous(
    page: Page, events: Sequence[Event], event: Event, order: State | None
) -> Unreadable:
    """The error for an event that does not continue its order: a duplicate, or one after a gap."""
    at = next(number for number, candidate in enumerate(events) if candidate is event)
    return Unreadable(page.positions[at], _versions(event, order))


def _unreadable(page: Page) -> Unreadable:
    """The error for the first event of a page that cannot be read."""
    try:
        for stored in page.stored():
            try:
                stored.record.event()
            except msgspec.DecodeError as error:
                return Unreadable(stored.position, str(error))
    except (msgspec.DecodeError, ValueError) as error:
        return Unreadable(page.positions[0], f"at or after it: {error}")
    return Unreadable(page.positions[0], "at or after it")
