"""Spans: an order as a trace, folded from its events.

Rule of this file: pure, and the same events give the same spans, ids included. A trace can be sent
twice without harm, the log proves each of its spans, and tracing costs nothing on the path of an
order. The trace id is the order's id without dashes. A span's id is the first 8 bytes of the hash
of the event that ends it; the root has those of the order's first event.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from events import types as t
from events.ids import SYSTEM_STREAM_IDS, trace_id
from events.log import Stored
from events.types import TERMINAL, Event
from projections.views.orders import event_frame

ROOT = "order"
KEPT = 100_000
"""Orders whose beginning is kept in memory; the history of others is read again when needed."""
_FAULTS = (t.AttemptFailed, t.OrderFailed, t.OrderExpired, t.OrderParked, t.TransactionInDoubt)
_COMMON = ("cursor", "hash", "timestamp")
"""Fields of a frame that a span has in another form."""

Value = str | int | bool


class Span(NamedTuple):
    """The time between two events of an order; for the root, between its first and its last."""

    trace_id: int
    span_id: int
    parent_id: int
    """0 for the root."""
    name: str
    start_us: int
    end_us: int
    attributes: dict[str, Value]
    fault: str = ""
    """What went wrong; empty where nothing did."""
    linked: str = ""
    """The W3C traceparent of the request that submitted the order."""


class Begun(NamedTuple):
    """The beginning of an order that may still receive events."""

    root_id: int
    start_us: int
    last_us: int
    submitted: t.OrderSubmitted
    ended: bool = False


class Sampled(NamedTuple):
    """A stored event that is traced."""

    stored: Stored
    event: Event | None
    """None for an event that only a newer build can read."""


def is_sampled(order_id: str, ratio: float) -> bool:
    """Whether an order is among the `ratio` of all orders that is traced.

    Every process gives the same answer: it depends on the last 32 bits of the id, which are random;
    those before them hold the variant of the UUID.
    """
    return int(order_id[-8:], 16) < ratio * 2**32


def sample(events: Sequence[Stored], ratio: float) -> list[Sampled]:
    """The events of sampled orders, and those that cannot be read."""
    sampled = []
    for stored in events:
        try:
            event = stored.record.event()
        except msgspec.DecodeError:
            sampled.append(Sampled(stored, None))
            continue
        if is_sampled(event.order_id, ratio):
            sampled.append(Sampled(stored, event))
    return sampled


class Tracer:
    """Folds events, in order, into spans."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._begun: OrderedDict[str, Begun] = OrderedDict()

    def unknown(self, sampled: Sequence[Sampled]) -> list[str]:
        """The orders whose history `spans_of` needs: they began before these events."""
        begun: set[str] = set()
        unknown: dict[str, None] = {}
        for _, event in sampled:
            if event is None or event.order_id in begun or event.order_id in self._begun:
                continue
            if event.version > 1:
                unknown[event.order_id] = None
            begun.add(event.order_id)
        return list(unknown)

    def spans_of(
        self, sampled: Sequence[Sampled], histories: Mapping[str, Sequence[Stored]]
    ) -> tuple[list[Span], int]:
        """The spans that the events end, and how many events give none.

        An event gives none where it, or the beginning of its order, cannot be read.
        """
        spans: list[Span] = []
        untraced = 0
        for stored, event in sampled:
            if event is None or not self._recall(stored, event, histories):
                untraced += 1
            else:
                spans += self._fold(stored, event)
        while len(self._begun) > self._kept:
            self._begun.popitem(last=False)
        return spans, untraced

    def _recall(
        self, stored: Stored, event: Event, histories: Mapping[str, Sequence[Stored]]
    ) -> bool:
        """Folds the history of an order that began earlier; False where it cannot be read."""
        if event.version == 1 or event.order_id in self._begun:
            return True
        if event.order_id not in histories:
            return False
        try:
            for earlier in histories[event.order_id]:
                if earlier.position < stored.position:
                    for _ in self._fold(earlier, earlier.record.event()):
                        pass
        except msgspec.DecodeError:
            return False
        return True

    def _fold(self, stored: Stored, event: Event) -> Iterator[Span]:
        """The spans that an event ends: its own, and with the last event the root."""
        if event.order_id in SYSTEM_STREAM_IDS:
            return
        span_id = int.from_bytes(stored.record.hash[:8])
        begun = self._begun.pop(event.order_id, None)
        if isinstance(event.fact, t.OrderSubmitted):
            begun = Begun(span_id, event.time_us, event.time_us, event.fact)
        if begun is None:
            return
        trace = int(trace_id(event.order_id), 16)
        attributes = _attributes(event, stored.position)
        request_id = begun.submitted.request_id
        request: dict[str, Value] = {"request.id": request_id} if request_id else {}
        if event.version > 1:
            yield Span(
                trace, span_id, begun.root_id, event.name, begun.last_us, event.time_us,
                attributes | request, _fault(event.fact),
            )  # fmt: skip
        ends = event.status in TERMINAL
        if ends and not begun.ended:
            submitted = begun.submitted
            yield Span(
                trace, begun.root_id, 0, ROOT, begun.start_us, event.time_us,
                {
                    "order.id": event.order_id,
                    "order.type": submitted.order_type,
                    "order.status": event.status.value,
                    "order.events": event.version,
                    "order.token_in": submitted.token_in,
                    "order.token_out": submitted.token_out,
                    "order.account": event.account,
                    **request,
                },
                _fault(event.fact),
                submitted.traceparent,
            )  # fmt: skip
        self._begun[event.order_id] = begun._replace(
            last_us=event.time_us, ended=begun.ended or ends
        )


def _attributes(event: Event, position: int) -> dict[str, Value]:
    frame = event_frame(event, position, "")
    return {
        f"order.{name}" if name in ("status", "version", "position") else f"event.{name}": value
        for name, value in frame.items()
        if name not in _COMMON and isinstance(value, (str, int))
    }


def _fault(fact: t.Fact) -> str:
    if not isinstance(fact, _FAULTS):
        return ""
    return str(getattr(fact, "error", "") or getattr(fact, "reason", "") or type(fact).__name__)
