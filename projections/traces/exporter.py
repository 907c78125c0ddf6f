"""Follows the log and hands on its traces.

Nothing is dropped while they are taken: what was not taken is read again, from where the mark in
the log's server says, also by the next process. Whoever is too far behind leaves out the oldest and
counts them, so that a collector that was away for a day is not sent that day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from events.archive import ArchiveUnavailable
from events.log import EventLog, LogError, Stored
from events.metrics import SPANS, UNTRACED
from projections.feed.history_reader import HistoryGap, HistoryReader
from projections.traces.spans import Span, Tracer, sampled

MARK = "traces"
BEHIND_MAX = 200_000
"""Events."""
BATCH = 512
"""Spans a request, as collectors are used to."""
PAUSE_S = 0.5
"""After the end of the log, or a fault."""

Send = Callable[[Sequence[Span]], Awaitable[bool]]
"""Whether they were taken."""

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
    """Sends the spans of that part of all orders until `stop` is set.

    The first time it begins with what happens then: what is past is in the audit.
    """
    tracer, after = Tracer(), None
    waiting: list[Span] = []
    while not stop.is_set():
        try:
            head = await log.position()
            if after is None and (after := await log.marked(MARK)) is None:
                await log.mark(MARK, head)
            # Behind the head, nowhere: a log that was founded again goes on there.
            after = head if after is None else min(after, head)
            if head - after > behind_max:
                UNTRACED.add(number=head - after)
                _log.warning("traces left out", after=after, until=head)
                tracer, after, waiting = Tracer(), head, []
            if not waiting:
                events = await past.page(after)
                # Folded once: what is not taken waits as it is.
                waiting = [
                    s for stored in events for s in await _spans(tracer, past, stored, ratio)
                ]
                read = events[-1].position if events else after
            if not await _sent(waiting, send):
                _log.warning("the collector does not take traces: they wait")
            elif read > after:
                after, waiting = read, []
                await log.mark(MARK, after)
                continue
        except HistoryGap as gap:
            UNTRACED.add(number=gap.resume_after - (after or 0))
            tracer, after, waiting = Tracer(), gap.resume_after, []
            continue
        except (LogError, ArchiveUnavailable) as error:
            _log.warning("traces wait", error=str(error))
            tracer, waiting = Tracer(), []  # it may have folded half of a page
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_S)


async def _sent(spans: Sequence[Span], send: Send) -> bool:
    """Whether all were taken. Who is asked for a part again knows its spans by their ids."""
    for at in range(0, len(spans), BATCH):
        some = spans[at : at + BATCH]
        if not await send(some):
            return False
        SPANS.add(number=len(some))
    return True


async def _spans(tracer: Tracer, past: HistoryReader, stored: Stored, ratio: float) -> list[Span]:
    try:
        event = stored.record.event()
        if not sampled(event.order_id, ratio):
            return []
        if event.version > 1 and not tracer.knows(event.order_id):
            history = await past.order(event.order_id)
            tracer.recall([earlier for earlier in history if earlier.position < stored.position])
        return list(tracer.take(stored))
    except (msgspec.DecodeError, HistoryGap):  # of a newer build; or its beginning is gone
        UNTRACED.add()
        return []
