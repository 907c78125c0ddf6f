"""Delivers batches of spans to a collector, each until it is taken or given up.

A batch that a collector refuses permanently is dropped and counted, so that the spans behind it are
sent. Only what a retry can change is retried, and not without end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple

import structlog

from events.metrics import DROPPED_SPANS, SPANS
from events.telemetry.outages import COLLECTOR
from projections.traces.spans import Span

BATCH = 512
"""Spans a request, as collectors expect."""
GIVE_UP_S = 120.0
"""How long a batch is retried that a collector answers, but does not take."""
RETRYABLE = frozenset({408, 425, 429, 502, 503, 504})
"""The statuses that OTLP calls temporary, and those of HTTP that ask for another try."""
TOO_LARGE = 413

_log = structlog.get_logger()


class Verdict(Enum):
    """What a collector's answer means for a batch."""

    TAKEN = "taken"
    RETRY = "retry"
    """The collector may take the same bytes later."""
    HALVE = "halve"
    """It may take fewer spans."""
    REFUSED = "refused"
    """It does not take these bytes, however often they are sent."""


class Reply(NamedTuple):
    """The reply of a collector to one batch."""

    status: int | None
    """HTTP status; None without a response."""
    error: str = ""
    """The error that stands for the response; empty with a response."""
    encodable: bool = True
    """Whether the batch could be sent at all."""


Send = Callable[[Sequence[Span]], Awaitable[Reply]]


def judge(reply: Reply, spans: int) -> Verdict:
    """The verdict on a batch of so many spans. Pure."""
    if not reply.encodable:
        return Verdict.HALVE if spans > 1 else Verdict.REFUSED
    if reply.status is None or reply.status in RETRYABLE:
        return Verdict.RETRY
    if reply.status == TOO_LARGE and spans > 1:
        return Verdict.HALVE
    return Verdict.TAKEN if 200 <= reply.status < 300 else Verdict.REFUSED


class Delivery:
    """The batches that wait, oldest first."""

    def __init__(self, send: Send, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._batches: deque[Sequence[Span]] = deque()
        self._retried_since_s: float | None = None
        """Since when the first batch is answered and not taken."""

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, spans: Sequence[Span]) -> None:
        """Adds spans behind those that wait."""
        self._batches.extend(spans[at : at + BATCH] for at in range(0, len(spans), BATCH))

    def clear(self) -> None:
        """Drops what waits, uncounted: it is read again."""
        self._batches.clear()
        self._retried_since_s = None

    async def deliver(self) -> bool:
        """Sends what waits; returns False where the first batch has to be sent again later.

        A part that is sent twice has the same ids.
        """
        while self._batches:
            batch = self._batches[0]
            reply = await self._send(batch)
            verdict = judge(reply, len(batch))
            if verdict is Verdict.RETRY:
                COLLECTOR.failed(_Unavailable(_cause(reply)))
                if not self._is_given_up(reply):
                    return False
                self._drop(batch, reply, "given-up")
                continue
            self._retried_since_s = None
            COLLECTOR.over()
            if verdict is Verdict.TAKEN:
                SPANS.add(number=len(batch))
                self._batches.popleft()
            elif verdict is Verdict.HALVE:
                middle = len(batch) // 2
                self._batches.popleft()
                self._batches.extendleft((batch[middle:], batch[:middle]))
            else:
                self._drop(batch, reply, "too-large" if reply.status == TOO_LARGE else "refused")
        return True

    def _is_given_up(self, reply: Reply) -> bool:
        """Whether the first batch was retried long enough.

        Without a response the collector is away, for every batch alike: that costs no span.
        """
        if reply.status is None:
            self._retried_since_s = None
            return False
        now_s = self._clock()
        if self._retried_since_s is None:
            self._retried_since_s = now_s
        return now_s - self._retried_since_s >= GIVE_UP_S

    def _drop(self, batch: Sequence[Span], reply: Reply, reason: str) -> None:
        self._batches.popleft()
        self._retried_since_s = None
        DROPPED_SPANS.add(reason, len(batch))
        _log.warning("spans_dropped", reason=reason, spans=len(batch), cause=_cause(reply))


class _Unavailable(Exception):
    """The collector does not take spans now."""


def _cause(reply: Reply) -> str:
    return reply.error if reply.status is None else f"HTTP {reply.status}"
