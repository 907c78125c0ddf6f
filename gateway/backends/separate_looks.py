"""Looks at the state of the engine that no request waits for. None of them stops another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from events.log import LogError
from events.telemetry.error_text import error_text

LOOK_S = 5.0
"""How long a look at the log may take."""

_log = structlog.get_logger()


class SeparateLooks:
    """Which looks fail, and why."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}

    async def take(self, part: str, look: Awaitable[None], timeout_s: float | None = None) -> None:
        """Takes a look. One that fails in the same way again is logged once.

        An outage of the log is not a failure of the look: `Health.watch` reports it.
        """
        fault = ""
        try:
            async with asyncio.timeout(timeout_s):
                await look
        except (LogError, TimeoutError):
            return
        except Exception as error:
            fault = error_text(error)
            if fault != self._faults.get(part):
                _log.error("readiness_look_failed", part=part, error=fault)
        self._faults[part] = fault
