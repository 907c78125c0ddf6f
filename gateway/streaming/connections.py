"""The open connections: limits, and closing those of revoked keys.

Counted in this process only, sockets and event streams together.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog
from aiohttp import web

from gateway.http.problems import Problem
from gateway.middleware.auth import Principal, principal_of

LOG_S = 10.0
"""The least time between two lines about refused connections."""

REVOKED = 4401
"""Close code: the key is no longer valid."""


class Connection(Protocol):
    """A long-lived connection: a socket, an event stream, a running audit."""

    def close(self, code: int, reason: str) -> None:
        """Closes it without waiting."""
        ...


class ConnectionLimiter:
    """All open sockets and streams."""

    def __init__(self, most: int, most_each: int) -> None:
        """`most`: in all; `most_each`: for one key, or one address without a key. 0: no limit."""
        self._most = most
        self._most_each = most_each
        self._open: dict[Connection, Principal] = {}
        self._of: Counter[str] = Counter()
        self._logged_at = -LOG_S

    def check(self, request: web.Request) -> None:
        """Raises Problem where one more connection exceeds a limit."""
        if self._most and len(self._open) >= self._most:
            self._log_full()
            raise Problem("too-many-connections", f"at most {self._most} at once")
        if self._most_each and self._of[_holder(request)] >= self._most_each:
            raise Problem(
                "too-many-connections", f"at most {self._most_each} of one key or address"
            )

    @contextlib.contextmanager
    def held(self, request: web.Request, socket: Connection) -> Iterator[None]:
        """Counts a connection for the length of a block."""
        holder = _holder(request)
        self._open[socket] = principal_of(request)
        self._of[holder] += 1
        try:
            yield
        finally:
            del self._open[socket]
            self._of[holder] -= 1
            if not self._of[holder]:
                del self._of[holder]

    def _log_full(self) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_S:
            self._logged_at = now
            structlog.get_logger().warning("streams_refused", open=len(self._open))

    def cut(self, is_gone: Callable[[Principal], bool]) -> None:
        """Closes the connections of principals whose key is no longer valid."""
        for socket, principal in tuple(self._open.items()):
            if is_gone(principal):
                socket.close(REVOKED, "the key is good no more")


def _holder(request: web.Request) -> str:
    return principal_of(request).key_id or request.remote or ""
