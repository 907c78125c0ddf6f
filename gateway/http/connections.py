"""All connections of clients: room is made for new ones when descriptors run out.

A connection that sends nothing, or a request byte by byte, costs a descriptor for as long as its
timeout. Above the limit the connection that has stood still for longest is closed, of the address
that has the most of them. Streams are counted, and never closed here: they have a limit of their
own below this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

LOG_S = 10.0
"""The least time between two lines about it."""


class Closeable(Protocol):
    """A connection of a client."""

    address: str

    @property
    def busy(self) -> bool:
        """Whether a request of it is being answered."""
        ...

    def hang_up(self) -> None:
        """Closes it at once."""
        ...


class Connections:
    """The connections of one gateway."""

    def __init__(self, most: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: at once; 0: any number."""
        self._most = most
        self._clock = clock
        self._idle: dict[str, dict[Closeable, None]] = {}
        """By address, those that stand still for longest first."""
        self._count = 0
        self._closed = 0
        self._logged_at = -LOG_S

    def opened(self, connection: Closeable) -> None:
        """Counts a new connection, and closes another one where there are too many."""
        self._count += 1
        self._idle.setdefault(connection.address, {})[connection] = None
        if self._most and self._count > self._most:
            self._make_room()

    def moved(self, connection: Closeable) -> None:
        """Called when a request begins: its head is here."""
        mine = self._idle.get(connection.address)
        if mine is not None and connection in mine:
            del mine[connection]
            mine[connection] = None

    def is_stream(self, connection: Closeable) -> None:
        """From now on the connection is a stream, until it is closed."""
        self._forget(connection)

    def closed(self, connection: Closeable) -> None:
        """Called once for each connection."""
        self._count -= 1
        self._forget(connection)

    def _forget(self, connection: Closeable) -> None:
        mine = self._idle.get(connection.address, {})
        mine.pop(connection, None)
        if not mine:
            self._idle.pop(connection.address, None)

    def _make_room(self) -> None:
        mine = max(self._idle.values(), key=len, default=None)
        if mine is None:
            return
        # An answer that is cut off would leave its client without an outcome.
        oldest = next((known for known in mine if not known.busy), next(iter(mine)))
        self._forget(oldest)
        oldest.hang_up()
        self._closed += 1
        now = self._clock()
        if now - self._logged_at >= LOG_S:
            self._logged_at = now
            structlog.get_logger().warning(
                "idle_connections_closed",
                limit=self._most,
                closed=self._closed,
            )
            self._closed = 0
