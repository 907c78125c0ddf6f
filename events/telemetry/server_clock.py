"""The time by the log server's clock, as this process knows it.

Expiry, leases and keys are judged by that clock: the clocks of machines may differ, and a clock may
be set while a process runs. `now_us` is this machine's time while it agrees with the server's; else
it is the server's, continued by the monotonic clock. Code that decides by a time of day asks here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

AGREE_NS = 250_000_000
"""Clocks that differ by less count as equal: an answer on a busy machine takes as long."""
SKEW_BEGUN_S = 0.5
SKEW_OVER_S = 0.3
"""From which skew on it is logged, and below which it is over."""

_log = structlog.get_logger()


def steady_ns() -> int:
    """A clock that is never set, and that continues while the machine is suspended."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ServerClock:
    """What the answers of the server's TIME told."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = steady_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._offset_ns: int | None = None
        """The server's time less the steady clock; None before the first answer."""
        self._bound_ns = 0
        """How far the offset may be off."""
        self.skew_s: float | None = None
        """How far this machine's clock is ahead of the server's; None while it is not known."""
        self._skewed = False

    def now_us(self) -> int:
        """Unix time in µs."""
        wall_ns = self._wall_ns()
        if self._offset_ns is None:
            return wall_ns // 1000
        server_ns = self._steady_ns() + self._offset_ns
        agrees = -AGREE_NS < wall_ns - server_ns < AGREE_NS
        return (wall_ns if agrees else server_ns) // 1000

    def observe(self, asked_ns: int, server_us: int, answered_ns: int) -> None:
        """Takes an answer of the server. `asked_ns`, `answered_ns`: the steady clock before the
        question and after the answer.
        """
        bound_ns = (answered_ns - asked_ns) // 2
        told_ns = server_us * 1000 - (asked_ns + bound_ns)
        wall_offset_ns = self._wall_ns() - self._steady_ns()
        known_ns = wall_offset_ns if self._offset_ns is None else self._offset_ns
        if abs(told_ns - known_ns) > bound_ns or bound_ns < self._bound_ns:
            known_ns, self._bound_ns = told_ns, bound_ns
        elif self._offset_ns is None:
            self._bound_ns = bound_ns
        self._offset_ns = known_ns
        self.skew_s = (wall_offset_ns - known_ns) / 1e9

    def report(self) -> None:
        """Logs one line where the clocks begin to differ, and one where they agree again."""
        skew_s = self.skew_s or 0.0
        if not self._skewed and abs(skew_s) - self._bound_ns / 1e9 >= SKEW_BEGUN_S:
            self._skewed = True
            _log.warning("clock_skewed", ahead_s=round(skew_s, 3))
        elif self._skewed and abs(skew_s) < SKEW_OVER_S:
            self._skewed = False
            _log.info("clock_agrees", ahead_s=round(skew_s, 3))


CLOCK = ServerClock()
"""That of this process: all of an engine use one log server."""
now_us = CLOCK.now_us
