"""What an audit says of something that is not as it must be, and of which store."""

from __future__ import annotations

from typing import NamedTuple

LOG, ARCHIVE, ORDERS, HEADS, INDEXES = "log", "archive", "orders", "heads", "indexes"
"""The stream and its marks, `events` and its checkpoint, `orders`, what is kept of each order, and
lists, inboxes and names of orders."""

STORES = (LOG, ARCHIVE, ORDERS, HEADS, INDEXES)
MEND = "engine repair"
"""Says of each of them what would mend it, and with which command."""


class Problem(NamedTuple):
    """One thing that is not as it must be."""

    position: int
    """Of the event, or of the newest event that is compared."""
    order_id: str
    """Empty where it is about no order."""
    code: str
    detail: str
    store: str = LOG
    """Where it is: one of `STORES`."""
    key: str = ""
    """The key, row or entry there, where it has a name of its own."""

    @property
    def mend(self) -> str:
        """The command that tells how to mend it."""
        return MEND
