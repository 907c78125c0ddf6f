"""Follows the log and sends its traces to a collector.

Spans that a collector could not take are read again, also by the next process: a mark in the log
server records how far they were delivered. A follower that is too far behind skips the oldest
events and counts them, so that a collector that was away for a day is not sent that day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from events.archive import ArchiveUnavailable
from events.log import EventLog, LogError, Stored
from events.metrics import UNTRACED
from events.telemetry.outages import ARCHIVE, LOG
from projections.feed.history_reader import HistoryGap, HistoryReader
from projections.traces.delivery import Delivery, Send
from projections.traces.spans import Span, Tracer, sample

MARK = "traces"
BEHIND_MAX = 200_000
"""Events."""
PAUSE_S = 0.5
"""Wait at the end of the log, and after a fault."""

_log = structlog.get_logger()


async def follow(
    log: EventLog,
    past: HistoryReader,
    send: Send,
    *,
    ratio: float,
    stop: asyncio.Event,
    behind_max: int = BEHIND_MAX,
) -> None:
    """Sends the spans of a `ratio` of all orders until `stop` is set.

    Without a mark it begins at the end of the log: earlier orders are in the audit.
    """
    exporter = _Exporter(log, past, send, ratio, behind_max)
    while not stop.is_set():
        try:
            more = await exporter.send_page()
            LOG.over()
            ARCHIVE.over()
            if more:
                continue
        except HistoryGap as gap:
            exporter.skip(gap.resume_after)
            continue
        except (LogError, ArchiveUnavailable) as error:
            (ARCHIVE if isinstance(error, ArchiveUnavailable) else LOG).failed(error)
            exporter.forget()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_S)


class _Exporter:
    """How far events are folded and their spans are taken."""

    def __init__(
        self, log: EventLog, past: HistoryReader, send: Send, ratio: float, behind_max: int
    ) -> None:
        self._log = log
        self._past = past
        self._unsent = Delivery(send)
        self._ratio = ratio
        self._behind_max = behind_max
        self._tracer = Tracer()
        self._after: int | None = None
        """The position up to which spans were taken; None before the mark was read."""
        self._read = 0
        """The position up to which `_unsent` has the spans."""

    async def send_page(self) -> bool:
        """Sends the spans of the next page; returns whether another may follow at once.

        Raises HistoryGap, LogError, ArchiveUnavailable.
        """
        after = await self._start()
        if not self._unsent:
            events = await self._past.page(after)
            # Folded once: spans that are not taken are kept as they are.
            self._unsent.add(await self._spans(events))
            self._read = events[-1].position if events else after
        if not await self._unsent.deliver():
            return False
        if self._read == after:
            return False
        self._after = self._read
        await self._log.mark(MARK, self._read)
        return True

    def skip(self, resume_after: int) -> None:
        """Continues after a position and counts the events before it as missing."""
        UNTRACED.add(number=resume_after - (self._after or 0))
        self._after = resume_after
        self.forget()

    def forget(self) -> None:
        """Drops what was folded: it may be half of a page."""
        self._tracer = Tracer()
        self._unsent.clear()

    async def _start(self) -> int:
        """The position to read after."""
        head = await self._log.position()
        if self._after is None:
            self._after = await self._log.marked(MARK)
            if self._after is None:
                await self._log.mark(MARK, head)
                self._after = head
        # A mark beyond the head is of a log that was rebuilt since.
        self._after = min(self._after, head)
        if head - self._after > self._behind_max:
            _log.warning("traces_skipped", after=self._after, until=head)
            self.skip(head)
        return self._after

    async def _spans(self, events: Sequence[Stored]) -> list[Span]:
        sampled = sample(events, self._ratio)
        histories: dict[str, list[Stored]] = {}
        for order_id in self._tracer.unknown(sampled):
            with contextlib.suppress(HistoryGap):  # its beginning is gone
                histories[order_id] = await self._past.order(order_id)
        spans, untraced = self._tracer.spans_of(sampled, histories)
        if untraced:
            UNTRACED.add(number=untraced)
        return spans
