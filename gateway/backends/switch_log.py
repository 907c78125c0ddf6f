"""Logs the changes that an operator looks for: refusals of all orders, halts, reasons of /readyz.

Each change is one line, however it came about: by HTTP, by a command, or by a server's settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from gateway.http.readiness_reasons import Reason

GRACE_S = 3.0
"""How long a gateway that has just started may refuse orders: backends start beside it."""

START_S = 10.0
"""How long a gateway that has just started logs only reasons that last: parts start beside it."""
LASTS_S = 3.0
LOG_PART = "log"
"""Its reasons are refusals of all orders."""

_log = structlog.get_logger()

Halt = Callable[[], Awaitable[dict[str, Any] | None]]
"""Reads reason, actor and time of the halt."""


class SwitchLog:
    """What was logged last."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._refused_since_s: float | None = None
        self._halted = False

    def take_refusal(self, reason: str, now_s: float) -> None:
        """Takes another look. `reason` is empty while orders are accepted."""
        if reason and self._refused_since_s is None:
            if now_s - self._started_s >= GRACE_S:
                self._refused_since_s = now_s
                _log.error("orders_refused", reason=reason)
        elif not reason:
            # From here on a refusal is news: the start is over.
            self._started_s = now_s - GRACE_S
            if self._refused_since_s is not None:
                duration_s = round(now_s - self._refused_since_s, 3)
                self._refused_since_s = None
                _log.info("orders_accepted_again", duration_s=duration_s)

    async def take_halt(self, halted: bool, read: Halt) -> None:
        """Takes another look at the switch."""
        if halted == self._halted:
            return
        self._halted = halted
        if halted:
            halt = await read() or {}
            _log.warning("engine_halted", reason=halt.get("reason"), actor=halt.get("actor"))
        else:
            _log.info("engine_resumed")


class ReasonLog:
    """The reasons of /readyz that were logged, and since when they hold."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._since_s: dict[tuple[str, str], float] = {}
        self._seen_s: dict[tuple[str, str], float] = {}

    def is_start(self, now_s: float) -> bool:
        """Whether the gateway has just started."""
        return now_s - self._started_s < START_S

    def take(self, reasons: Mapping[str, Reason], now_s: float) -> None:
        """Takes another look at the reasons by part."""
        active = {(part, reason.code): reason for part, reason in reasons.items()}
        self._seen_s = {key: self._seen_s.get(key, now_s) for key in active}
        for part, code in self._since_s.keys() - active.keys():
            seconds = round(now_s - self._since_s.pop((part, code)), 3)
            _log.info("readiness_reason_over", part=part, code=code, duration_s=seconds)
        for (part, code), reason in active.items():
            if part == LOG_PART or (part, code) in self._since_s:
                continue
            lasted_s = now_s - self._seen_s[part, code]
            if self.is_start(now_s) and lasted_s < LASTS_S:
                continue
            self._since_s[part, code] = now_s
            _log.warning("readiness_reason_begun", part=part, code=code, reason=reason.text)
