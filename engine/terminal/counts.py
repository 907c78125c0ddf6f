"""Counts in words for a person."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun, such as `1 event` and `2,000 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
