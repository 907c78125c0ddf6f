"""How many files and sockets a process may have open (RLIMIT_NOFILE), and what they are kept for.

A process that has none left accepts no client. So streams end below the limit, and a part is kept
for requests: orders, cancels, halts, health checks.
"""

from __future__ import annotations

import contextlib
import resource
from typing import NamedTuple

OWN = 64
"""Log, archive, nodes, files and pipes of the process itself."""

BACKLOG_MAX = 1024

MOST = 1 << 20
"""More is of no use here, and some machines state limits of a thousand million."""


def limits() -> tuple[int, int]:
    """The soft and the hard limit of this process, at most `MOST` each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _bounded(soft), _bounded(hard)


def raise_limit() -> int:
    """Raises the soft limit to the hard one, and returns the limit in force."""
    soft, hard = limits()
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):  # the one before stays in force
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            )
    return limits()[0]


def _bounded(limit: int) -> int:
    return MOST if limit == resource.RLIM_INFINITY else min(limit, MOST)


class DescriptorPlan(NamedTuple):
    """What a limit of open files leaves."""

    backlog: int
    """Connections that may wait to be accepted: they may all be accepted in one turn."""
    connections: int
    """Connections of clients at once, streams included."""
    streams: int
    """WebSockets and event streams at once."""


def share_out(limit: int) -> DescriptorPlan:
    """The plan for a process that may have `limit` open files."""
    backlog = min(BACKLOG_MAX, max(8, limit // 8))
    connections = max(16, limit - OWN - backlog)
    return DescriptorPlan(backlog, connections, connections - connections // 4)


def streams_max(limit: int, setting: int) -> int:
    """How many streams there may be; `setting`: SOCKETS_MAX, where 0 is any number."""
    possible = share_out(limit).streams
    return min(setting, possible) if setting else possible
