"""Heads of open orders that are not what their events add up to.

A page of them is looked at in turn. Nothing is appended to such an order that an audit would
accept, so it is reported before its next event is due. The newest event tells most damage. That of
the order itself is told only by all of its events, which are read for some orders in each look.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

import msgspec

from events.audit.order_digests import Open, head_fault
from events.hash_chain import GENESIS, follows
from events.ids import ENGINE_STREAM_ID
from events.log import DAMAGED, PARKED, EventLog, OrderHead, Stored, state_in
from events.streams import State, evolve
from events.streams.damage import UNDECODABLE
from gateway.http.readiness_reasons import Reason, reason

PAGE = 100
"""Orders of a look."""
SUSPECTS_MAX = 500
"""Orders that are looked at again in each look."""
EVENTS_MAX = 300
"""Events of a look, beyond those of suspects and the newest of each order."""
BYTES_MAX = 8_000_000
"""Bytes of entries that a look reads. An entry holds the events of many orders, up to 1 MB."""
PART = "heads"

_UNREADABLE = (msgspec.DecodeError, *UNDECODABLE)


def fault_of(stream_id: str, head: OrderHead | None, events: Sequence[Stored]) -> str:
    """What is wrong with a head; empty: nothing is. `events`: those at its positions that the log
    still holds. Pure.
    """
    if head is None:
        return "an open order has no head"
    if head.owes == DAMAGED:
        return "its head cannot be read"
    try:
        if head.owes != PARKED:
            state_in(head, stream_id)
        seen = _folded(head, events)
        if seen is not None:
            return head_fault(seen, head)
        newest = events[-1] if events else None
        if newest is not None and newest.position == head.positions[-1]:
            return _newest_fault(stream_id, head, newest)
    except _UNREADABLE as error:
        return f"its head cannot be read: {error}"
    return ""


def _folded(head: OrderHead, events: Sequence[Stored]) -> Open | None:
    """The order by its events; None where they are not all there, or not those of one order."""
    if len(events) != head.version or not events:
        return None
    state: State | None = None
    before = GENESIS
    for stored in events:
        if not follows(before, bytes(stored.record.body), stored.record.hash):
            return None
        before = stored.record.hash
        state = evolve(state, stored.record.event())
    assert state is not None, "there are events"
    return Open(state, before, [stored.position for stored in events])


def worth_reading(
    heads: Mapping[str, OrderHead | None], suspects: Collection[str], first: int
) -> list[int]:
    """The positions of a look, the most telling ones first: all of suspects, the newest of each
    order, then all of some orders, as far as the log still holds them. Pure.

    `first`: the first position that the log holds.
    """
    known = {i: head for i, head in heads.items() if head is not None and head.positions}
    whole = {
        stream_id: head.positions
        for stream_id, head in known.items()
        if len(head.positions) == head.version and head.positions[0] >= first
    }
    of_suspects = [p for i, positions in whole.items() if i in suspects for p in positions]
    newest = [p for head in known.values() if (p := head.positions[-1]) >= first]
    others = [p for i, positions in whole.items() if i not in suspects for p in positions]
    return list(dict.fromkeys([*of_suspects, *newest, *others[:EVENTS_MAX]]))


def _newest_fault(stream_id: str, head: OrderHead, newest: Stored) -> str:
    event = newest.record.event()
    if newest.record.hash != head.hash:
        return "its head has another hash"
    if (event.order_id, event.version) != (stream_id, head.version):
        return "its head names other positions"
    return ""


class DamagedHeads:
    """What the looks have shown."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        """By order: what was wrong in two looks in a row."""
        self._suspects: dict[str, str] = {}
        self._cursor = 0

    async def look(self, log: EventLog) -> None:
        """Looks at the next page of open orders, and at the suspects again. Raises LogError."""
        self._cursor, page = await log.open_ids(self._cursor, count=PAGE)
        random.shuffle(page)  # what does not fit into this look is of other orders in the next
        ids = list(dict.fromkeys([*page, *list(self._suspects)[:SUSPECTS_MAX]]))
        heads = dict(
            zip([*ids, ENGINE_STREAM_ID], await log.load([*ids, ENGINE_STREAM_ID]), strict=True)
        )
        first, _ = await log.bounds()
        positions = worth_reading(heads, self._suspects, first)
        read = await log.history_within(positions, bytes_max=BYTES_MAX)
        events = {stored.position: stored for stored in read}
        faults: dict[str, str] = {}
        for stream_id, head in heads.items():
            own = [events[p] for p in head.positions if p in events] if head is not None else []
            if fault := fault_of(stream_id, head, own):
                faults[stream_id] = fault
        lacking = [i for i, head in heads.items() if head is None]
        for ended in set(lacking) - set(await log.open_among(lacking)):
            del faults[ended]  # or never halted: the switch is in no list
        self.faults = {i: fault for i, fault in faults.items() if i in self._suspects}
        self._suspects = faults

    def reasons(self) -> dict[str, Reason]:
        """The reasons of /readyz by part."""
        if not self.faults:
            return {}
        order_id, fault = min(self.faults.items())
        text = f"order {order_id}: {fault}; `engine repair` rewrites it from its events"
        return {PART: reason("head-damaged", text)}
