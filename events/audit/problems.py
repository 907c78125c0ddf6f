"""A problem that an audit reports, and the store that it is in."""

from __future__ import annotations

from typing import NamedTuple

LOG, ARCHIVE, ORDERS, HEADS, INDEXES = "log", "archive", "orders", "heads", "indexes"
"""The stream and its marks, `events` and its checkpoint, `orders`, what is kept of each order, and
lists, inboxes and names of orders."""

STORES = (LOG, ARCHIVE, ORDERS, HEADS, INDEXES)
MEND = "engine repair"
"""Lists each problem with the step that repairs it, and the command for that."""


class Problem(NamedTuple):
    """A difference between a store and the events."""

    position: int
    """Of the event, or of the newest event that was compared."""
    order_id: str
    """Empty for a problem of no order."""
    code: str
    detail: str
    store: str = LOG
    """One of `STORES`."""
    key: str = ""
    """The key, row or entry in the store; empty where it has no name."""

    @property
    def mend(self) -> str:
        """The command that lists the repairs."""
        return MEND
