"""Compares the orders table with the fold of the events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from events import streams
from events.audit.invariants import Auditor
from events.audit.order_digests import summary, summary_of
from events.audit.problems import ORDERS
from events.streams import State
from events.streams.older_builds import NOTHING_ADDED, added, adds

Columns = Callable[[State, bytes, Sequence[int]], Mapping[str, Any]]
"""Returns the columns that the projection writes for an order."""


class RowCheck:
    """Compares the orders table with the fold."""

    def __init__(self, auditor: Auditor, columns: Columns) -> None:
        self._auditor = auditor
        self._columns = columns
        self._left = {*auditor._open, *auditor._ended}

    def row(
        self,
        order_id: str,
        version: int,
        digest: bytes,
        positions: Sequence[int],
        columns: Mapping[str, Any],
    ) -> None:
        """Checks a row. `columns` holds all of its columns, including `state`."""
        auditor = self._auditor
        last = positions[-1] if positions else 0
        if order_id in auditor._broken:
            self._left.discard(order_id)
            return
        if order_id not in self._left:
            self._report(last, order_id, "a row without events")
            return
        self._left.discard(order_id)
        seen, ended = auditor._open.get(order_id), auditor._ended.get(order_id)
        expected = summary_of(seen) if seen else ended.summary if ended else b""
        at = seen.positions[-1] if seen else ended.position if ended else last
        state = columns["state"]
        more = added(seen.order) if seen else ended.added if ended else NOTHING_ADDED
        if expected != summary(version, digest, positions, state) or not adds(state, more):
            detail = f"its row (version {version}) is not what its events add up to"
            self._report(at, order_id, detail)
            return
        shown = self._columns(streams.decode(state), digest, positions)
        for name, value in shown.items():
            if name != "state" and _plain(columns[name]) != _plain(value):
                detail = f"column {name} is {columns[name]!r}, its events say {value!r}"
                self._report(at, order_id, detail)

    def _report(self, position: int, order_id: str, detail: str) -> None:
        self._auditor.report(position, order_id, "orders", detail, store=ORDERS, key=order_id)

    def finish(self) -> None:
        """Reports orders that have no row."""
        auditor = self._auditor
        for order_id in self._left - auditor._broken:
            seen, ended = auditor._open.get(order_id), auditor._ended.get(order_id)
            at = seen.positions[-1] if seen else ended.position if ended else 0
            self._report(at, order_id, "it has no row")


def _plain(value: Any) -> Any:
    """The value in a comparable type: asyncpg has its own types for ids and arrays."""
    if isinstance(value, list):
        return tuple(value)
    return str(value) if isinstance(value, UUID) else value
