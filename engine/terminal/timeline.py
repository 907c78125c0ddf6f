"""The timeline of an order for a person: time, duration of each step, event, and details."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from engine.terminal.counts import counted
from events.log import Stored
from projections.feed.frames import Frame
from projections.views.formats import timestamp
from projections.views.payloads import VIEWS


def tell(history: Sequence[Stored], prefix: str, *, as_json: bool) -> None:
    """Prints the timeline for a person, or the frame of each event for a machine."""
    frames = (json.dumps(Frame(stored, prefix).view) for stored in history)
    for line in frames if as_json else lines(history):
        print(line)


def lines(history: Sequence[Stored]) -> Iterator[str]:
    """Returns the timeline. Raises `msgspec.DecodeError` for an event of a newer build."""
    events = [stored.record.event() for stored in history]
    if not events:
        return
    first = events[0]
    yield f"order {first.order_id}  account {first.account}"
    before_us = first.time_us
    for stored, event in zip(history, events, strict=True):
        gap = _duration(event.time_us - before_us)
        before_us = event.time_us
        yield (
            f"{timestamp(event.time_us)}  {gap:>9}  {event.status:<10} {event.name}"
            f"  v{event.version} @{stored.position}  {stored.record.hash.hex()[:12]}  {event.build}"
        )
        for summary in VIEWS[type(event.fact)].lines(event.fact):
            yield f"{'':39}{summary}"
    took = _duration(before_us - first.time_us)
    yield f"{events[-1].status} after {took}, {counted(len(events), 'event')}"


def _duration(us: int) -> str:
    if us < 10_000:
        return f"+{us / 1000:.2f} ms"
    return f"+{us / 1000:.0f} ms" if us < 10_000_000 else f"+{us / 1e6:.1f} s"
