"""Parsers of arguments. For a ValueError argparse prints the message and exits with 2."""

from __future__ import annotations

import argparse
import math
from datetime import UTC, datetime
from string import hexdigits

from events.ids import parse_order_id

SHA256_HEX = 64
"""Digits of a SHA-256."""


def order_id(text: str) -> str:
    """Returns the id of an order."""
    order_id = parse_order_id(text)
    if order_id is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an order id (a UUID, see `engine orders`)"
        )
    return order_id


def count(text: str) -> int:
    """Returns a number of things, one or more."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def seconds(text: str) -> float:
    """Returns a time that will have passed some day."""
    seconds_ = float(text)
    if not (math.isfinite(seconds_) and 0 < seconds_ < 10**10):
        raise argparse.ArgumentTypeError(f"{text!r}: more than 0 seconds")
    return seconds_


def moment(text: str) -> tuple[int | None, int | None]:
    """Returns (position, None) or (None, time in µs)."""
    if text.isascii() and text.isdigit():
        return int(text), None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        error = f"{text!r} is neither a position nor an ISO time"
        raise argparse.ArgumentTypeError(error) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return None, int(time.timestamp() * 1_000_000)


def digest(text: str) -> str:
    """Returns a SHA-256 in lower-case hex."""
    text = text.strip().lower()
    if len(text) != SHA256_HEX or not set(text) <= set(hexdigits):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a SHA-256 in hex (64 digits)")
    return text
