"""Counts restarts of supervised processes by their process ids. Pure."""

from __future__ import annotations

from collections.abc import Mapping


class Restarts:
    """How often each process was started again after its first start."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """By name, without processes that were never restarted."""
        self._pids: dict[str, int] = {}

    def take(self, pids: Mapping[str, int]) -> None:
        """Takes the running processes. A name with another process id was restarted."""
        for name, pid in pids.items():
            if pid != self._pids.setdefault(name, pid):
                self.counts[name] = self.counts.get(name, 0) + 1
                self._pids[name] = pid
