"""Streams: what the log keeps events of. All but two are orders; those have states of their own.

Whatever treats all streams alike (the log, the audit, the projector, a repair) folds and stores
them by the functions here; `hash_chain` makes their records. Pure, all of it. Imports types and
`events.order`, and no log. Public: what is listed below, `hash_chain`, `older_builds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from events import order as orders
from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.order import NEXT, Order
from events.streams import layout
from events.streams.damage import UNDECODABLE
from events.streams.state import (
    ENGINE_NEXT,
    KEYS_FIRST,
    KEYS_NEXT,
    ApiKey,
    EngineState,
    KeyRing,
    SystemState,
)
from events.types import EngineStatus, Event, Fact, Status

__all__ = [
    "ApiKey",
    "EngineState",
    "KeyRing",
    "S",
    "State",
    "SystemState",
    "advance",
    "as_row",
    "copied",
    "decode",
    "decode_order",
    "encode",
    "evolve",
    "fold",
    "may_follow",
    "new_state",
    "status_after",
    "statuses_after",
]

State = Order | EngineState | KeyRing
S = TypeVar("S", bound=State)

_SYSTEM: dict[str, type[EngineState | KeyRing]] = {ENGINE_STREAM_ID: EngineState, KEYS_ID: KeyRing}


def new_state(stream_id: str, account: str = "") -> State:
    """The state before the first event."""
    kind = _SYSTEM.get(stream_id)
    return Order(stream_id, account=account) if kind is None else kind(stream_id, account)


def copied(state: S) -> S:
    """A copy that may be advanced."""
    return state.__copy__()  # type: ignore[union-attr,no-any-return]  # structs have it, their stubs not


def status_after(state: State, fact: Fact) -> Status | EngineStatus:
    """The status that follows; an event that may not follow leaves it as it was."""
    if type(state) is Order:
        return orders.status_after(state, fact)
    return state.status_after(fact)


def statuses_after(kind: type[Fact]) -> list[str]:
    """All statuses that an event of this kind may leave, sorted: for documents."""
    if kind in KEYS_NEXT:
        return [EngineStatus.RUNNING]
    strs = {str(row[kind]) for row in NEXT.values() if kind in row}
    return sorted(strs | {str(row[kind]) for row in ENGINE_NEXT.values() if kind in row})


def may_follow(state: State | None, stream_id: str, kind: type[Fact]) -> bool:
    """Whether an event of this kind may be the next one; None: there is no event yet."""
    state = state if state is not None and state.version else None
    if stream_id == ENGINE_STREAM_ID:
        return kind in ENGINE_NEXT[state.status if isinstance(state, EngineState) else None]
    if stream_id == KEYS_ID:
        return kind in (KEYS_NEXT if state is not None else KEYS_FIRST)
    return kind in NEXT[state.status if isinstance(state, Order) else None]


def advance(state: State, event: Event) -> None:
    """The state after an event, in place."""
    if type(state) is Order:
        orders.advance(state, event)
    else:
        state.advance(event)


def evolve(state: State | None, event: Event) -> State:
    """The state after an event; the one before is left as it was. Never raises."""
    after = new_state(event.order_id, event.account) if state is None else copied(state)
    advance(after, event)
    return after


def fold(events: Iterable[Event]) -> State | None:
    """The state that all events of one stream add up to; None for no events."""
    state: State | None = None
    for event in events:
        state = evolve(state, event)
    return state


def as_row(state: State) -> Order:
    """What the columns of the `orders` table are taken from."""
    return state if type(state) is Order else layout.laid_out(state)


def encode(state: State) -> bytes:
    """As it stands in heads and in the `orders` table."""
    return orders.encode(state if type(state) is Order else layout.laid_out(state))


def decode(body: bytes) -> State:
    """Inverse of `encode`. Raises `msgspec.DecodeError`."""
    try:
        return decode_order(body)
    except msgspec.ValidationError as error:
        try:
            return layout.decode(body)
        except (msgspec.DecodeError, *UNDECODABLE):
            raise error from None


def decode_order(body: bytes) -> Order:
    """The order in these bytes. Raises `msgspec.DecodeError`, also for another state."""
    try:
        return orders.decode(body)
    except UNDECODABLE as error:
        raise msgspec.DecodeError(str(error)) from None
