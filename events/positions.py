"""Positions of the log in words."""

from __future__ import annotations

from collections.abc import Sequence

SPANS = 5
"""So many ranges are named."""


def span(first: int, last: int) -> str:
    """A range."""
    return f"position {first}" if first == last else f"positions {first} to {last}"


def spans(positions: Sequence[int]) -> str:
    """Positions as ranges, the first few."""
    runs: list[list[int]] = []
    for position in positions:
        if runs and position == runs[-1][1] + 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    told = [str(a) if a == b else f"{a} to {b}" for a, b in runs[:SPANS]]
    return "position " + ", ".join(told) + (" …" if len(runs) > SPANS else "")
