"""The limit of open files of a process and its children (`ulimit -n`)."""

from __future__ import annotations

import resource

from engine.processes.program import StartError

NEEDED = 256
"""What the hungriest process of a small engine opens: Valkey, Postgres and the gateway each."""


def prepare(needed: int = NEEDED) -> None:
    """Raises the soft limit to the hard one. Raises StartError where that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= needed:
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return
    msg = f"a process may open {hard} files here, {needed} are needed: ulimit -n {4 * needed}"
    raise StartError(msg)
