"""The base of all facts, and the envelope that carries one into the log.

Rule of this file: stored events are permanent. Facts and envelopes are encoded as arrays, so
fields are only ever appended, each with a default. tests/unit/events/test_wire_format.py pins the
bytes.
"""

from __future__ import annotations

import msgspec

from events.status import StreamStatus


class Fact(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all facts; the tag is the class name.

    Amounts are integers in base units of their token (lamports for SOL) within u64. Times are µs
    since the Unix epoch, UTC. A fact stands alone: it repeats the decimals and the signature that
    are needed to show it without its neighbours.
    """


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A fact about one stream, at one version of it. `events.types.Event` is the one in use."""

    order_id: str
    version: int
    """1 for the first event of the order, then without gaps."""
    time_us: int
    """The writer's clock; never goes back within an order."""
    status: StreamStatus
    """The order's status after this event, or that of its stream."""
    account: str
    build: str
    fact: Fact

    @property
    def name(self) -> str:
        """The event's public name, such as `OrderRouted`."""
        return type(self.fact).__name__
