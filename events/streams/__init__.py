"""Event streams: each order is one; the engine switch and the API keys are two more.

The log, the audit, the projector and the repair fold and encode all streams by these functions.
Everything here is pure. Imports `events.order` and the files beside it in `events`, and neither
`events.types` nor a log. Public: what is listed below, `damage`, `older_builds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from events import order as orders
from events.event import Envelope, Fact
from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.order import NEXT, Order
from events.status import EngineStatus, Status
from events.streams import layout, system_fold
from events.streams.damage import UNDECODABLE
from events.streams.state import ApiKey, EngineState, KeyRing, SystemState
from events.streams.system_fold import ENGINE_NEXT, KEYS_NEXT

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
    """The state of a stream before its first event."""
    kind = _SYSTEM.get(stream_id)
    return Order(stream_id, account=account) if kind is None else kind(stream_id, account)


def copied(state: S) -> S:
    """A copy of a state, for `advance`."""
    return state.__copy__()  # type: ignore[union-attr,no-any-return]  # structs have it, their stubs not


def status_after(state: State, fact: Fact) -> Status | EngineStatus:
    """The status after a fact; a fact that may not follow leaves it unchanged."""
    if type(state) is Order:
        return orders.status_after(state, fact)
    return system_fold.status_after(state, fact)


def statuses_after(kind: type[Fact]) -> list[str]:
    """All statuses after an event of this kind, sorted, for documents."""
    rows: list[Mapping[type[Fact], Status | EngineStatus]] = [
        *NEXT.values(), *ENGINE_NEXT.values(), *KEYS_NEXT.values(),
    ]  # fmt: skip
    return sorted({str(row[kind]) for row in rows if kind in row})


def may_follow(state: State | None, stream_id: str, kind: type[Fact]) -> bool:
    """Whether an event of this kind may be the next one; `state` None: there is no event yet."""
    state = state if state is not None and state.version else None
    if stream_id == ENGINE_STREAM_ID:
        return kind in ENGINE_NEXT[state.status if isinstance(state, EngineState) else None]
    if stream_id == KEYS_ID:
        return kind in KEYS_NEXT[None if state is None else EngineStatus.RUNNING]
    return kind in NEXT[state.status if isinstance(state, Order) else None]


def advance(state: State, event: Envelope) -> None:
    """Applies an event to a state in place."""
    if type(state) is Order:
        orders.advance(state, event)
    else:
        system_fold.advance(state, event)


def evolve(state: State | None, event: Envelope) -> State:
    """The state after an event, as a new object. Never raises."""
    after = new_state(event.order_id, event.account) if state is None else copied(state)
    advance(after, event)
    return after


def fold(events: Iterable[Envelope]) -> State | None:
    """Folds all events of one stream into its state; None for no events."""
    state: State | None = None
    for event in events:
        state = evolve(state, event)
    return state


def as_row(state: State) -> Order:
    """The order from which the columns of the `orders` table are taken."""
    return state if type(state) is Order else layout.laid_out(state)


def encode(state: State) -> bytes:
    """The bytes of a state in heads and in the `orders` table."""
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
    """Decodes an order. Raises `msgspec.DecodeError`, also for the state of another stream."""
    try:
        return orders.decode(body)
    except UNDECODABLE as error:
        raise msgspec.DecodeError(str(error)) from None
