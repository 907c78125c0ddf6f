"""Whether the client at the other end of a stream still lives. Pure.

A pong arrives behind the data that is on its way, so that a slow reader answers late. Bytes that
its machine acknowledges are the earlier sign. A machine acknowledges for a program that hangs as
well, until its buffers are full: without data on the way a WebSocket client must answer the ping.
"""

from __future__ import annotations

from typing import NamedTuple

CHECK_S = 20.0
"""Between two looks, and between two pings of a WebSocket."""


class Look(NamedTuple):
    """What is known of a client at one moment."""

    received: int
    """Bytes that its machine has acknowledged since the connection began."""
    in_flight: int
    """Bytes that were written and are not acknowledged."""
    heard: bool
    """Whether it sent anything since the look before."""


def is_alive(before: Look, now: Look, *, answers: bool) -> bool:
    """Whether the client lives. `answers`: it has to answer pings, as WebSocket clients do."""
    if now.heard:
        return True
    if now.in_flight == 0:
        return not answers
    return now.received > before.received
