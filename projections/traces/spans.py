"""Spans: an order as a trace, folded from its events.

Rule of this file: pure, and the same events make the same spans, ids and all. So a trace can be
sent twice without harm, each span of it is proved by the log, and nobody on the path of an order
pays for it. The trace id is the order's id without its dashes, a span's id the beginning of the
hash of the event that ended it; the root has that of the first event.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from events import types as t
from events.ids import SYSTEM_STREAM_IDS, trace_id
from events.log import Stored
from events.types import TERMINAL, Event
from projections.views.orders import event_frame

ROOT = "order"
KEPT = 100_000
"""Orders whose beginning is remembered; that of others is read again when they go on."""
_FAULTS = (t.AttemptFailed, t.OrderFailed, t.OrderExpired, t.OrderParked, t.TransactionInDoubt)
_COMMON = ("cursor", "hash", "timestamp")
"""Fields of a frame that a span has in another form."""

Value = str | int | bool


class Span(NamedTuple):
    """What went on between two events of an order; of the root, between its first and its last."""

    trace_id: int
    span_id: int
    parent_id: int
    """0: it is the root."""
    name: str
    start_us: int
    end_us: int
    attributes: dict[str, Value]
    fault: str = ""
    """What went wrong; empty: nothing did."""
    linked: str = ""
    """The W3C traceparent of whoever submitted the order."""


class Begun(NamedTuple):
    """What is remembered of an order until it ends."""

    root_id: int
    start_us: int
    last_us: int
    submitted: t.OrderSubmitted
    ended: bool = False


def sampled(order_id: str, ratio: float) -> bool:
    """Whether an order is among that part of all; every process and every restart agrees.

    By its last 32 bits, which are random; the bits before have those of the UUID's variant.
    """
    return int(order_id[-8:], 16) < ratio * 2**32


class Tracer:
    """Folds events, in order, into spans."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._begun: OrderedDict[str, Begun] = OrderedDict()

    def knows(self, order_id: str) -> bool:
        """Whether `take` needs no `recall` before the next event of this order."""
        return order_id in self._begun

    def recall(self, history: list[Stored]) -> None:
        """What happened to an order before; its spans were made then."""
        for stored in history:
            for _ in self.take(stored):
                pass

    def take(self, stored: Stored) -> Iterator[Span]:
        """The spans that an event ends: its own, and with the last event the root."""
        event = stored.record.event()
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
        if event.version > 1:
            yield Span(
                trace, span_id, begun.root_id, event.name, begun.last_us, event.time_us,
                attributes, _fault(event.fact),
            )  # fmt: skip
        ends = event.status in TERMINAL
        if ends and not begun.ended:
            asked = begun.submitted
            yield Span(
                trace, begun.root_id, 0, ROOT, begun.start_us, event.time_us,
                {
                    "order.id": event.order_id,
                    "order.type": asked.order_type,
                    "order.status": event.status.value,
                    "order.events": event.version,
                    "order.token_in": asked.token_in,
                    "order.token_out": asked.token_out,
                    "order.account": event.account,
                },
                _fault(event.fact),
                asked.traceparent,
            )  # fmt: skip
        self._begun[event.order_id] = begun._replace(
            last_us=event.time_us, ended=begun.ended or ends
        )
        while len(self._begun) > self._kept:
            self._begun.popitem(last=False)


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
