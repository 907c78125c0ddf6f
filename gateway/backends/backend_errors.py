"""Problems of requests while the log or the archive does not answer, and their deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from events.archive import ArchiveUnavailable
from events.log import Fenced, Full, LogError, OutcomeUnknown
from gateway.backends.health import Health
from gateway.http.problems import Problem
from gateway.http.readiness_reasons import REASONS

ANSWER_S = 1.9
"""The longest that a request waits for the log."""


@asynccontextmanager
async def reading_log(timeout_s: float = ANSWER_S) -> AsyncIterator[None]:
    """Turns errors of reads from the log into problems. The block writes nothing."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (LogError, TimeoutError) as error:
        raise Problem("log-unavailable", str(error) or "no answer") from error


@asynccontextmanager
async def writing_log(
    health: Health, timeout_s: float = ANSWER_S, **about: Any
) -> AsyncIterator[None]:
    """Turns errors of appends into problems: the block may have written; `about` names what."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (LogError, TimeoutError) as error:
        raise not_written(error, health, **about) from error


def not_written(error: LogError | TimeoutError, health: Health, **about: Any) -> Problem:
    """The problem of a failed append."""
    if isinstance(error, Full):
        return Problem("log-full", REASONS["log-full"].text)
    if isinstance(error, (OutcomeUnknown, TimeoutError)):
        return Problem("outcome-unknown", **about)
    if isinstance(error, Fenced):
        health.fenced(error)
    return Problem("log-unavailable", str(error))


@asynccontextmanager
async def reading_archive() -> AsyncIterator[None]:
    """Turns errors of the archive into problems. The archive has its own deadline."""
    try:
        yield
    except ArchiveUnavailable as error:
        raise Problem("archive-unavailable", str(error)) from error
