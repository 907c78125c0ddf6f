"""The limit of open files that `engine up` needs (`ulimit -n`)."""

from __future__ import annotations

from engine.processes.open_files import raise_limit
from engine.processes.program import StartError

NEEDED = 256
"""What the hungriest process of a small engine opens: Valkey, Postgres and the gateway each."""


def prepare(needed: int = NEEDED) -> None:
    """Raises the soft limit, which children inherit. Raises StartError where that is too low."""
    limit = raise_limit()
    if limit < needed:
        msg = f"a process may open {limit} files here, {needed} are needed: ulimit -n {4 * needed}"
        raise StartError(msg)
