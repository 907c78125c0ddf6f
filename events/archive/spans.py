"""Positions in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

SPANS = 5


def spans(positions: Sequence[int]) -> str:
    """Positions as ranges, the first few."""
    ranges: list[list[int]] = []
    for position in positions:
        if ranges and position == ranges[-1][1] + 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    words = [str(a) if a == b else f"{a} to {b}" for a, b in ranges[:SPANS]]
    return "position " + ", ".join(words) + (" …" if len(ranges) > SPANS else "")
