"""The archive: read access to the long-term log and the projected orders in Postgres.

Calls may raise `ArchiveUnavailable`, within about a second when Postgres is down or refuses. Order
processing does not depend on it.

Imports the log for its types, and no audit or command. Public: what is exported here, `history`,
`indexes` and `connect`.
"""

from events.archive.listing import BadCursor, Filters
from events.archive.page import Page
from events.archive.pool import Archive, ArchiveRejected, ArchiveUnavailable
from events.archive.reader import (
    PAGE_EVENTS,
    PROJECTOR,
    Checkpoint,
    load_checkpoint,
    read_pages,
)
from events.archive.snapshot import NO_ORDER, OrderRow, Snapshot

__all__ = [
    "NO_ORDER",
    "PAGE_EVENTS",
    "PROJECTOR",
    "Archive",
    "ArchiveRejected",
    "ArchiveUnavailable",
    "BadCursor",
    "Checkpoint",
    "Filters",
    "OrderRow",
    "Page",
    "Snapshot",
    "load_checkpoint",
    "read_pages",
]
