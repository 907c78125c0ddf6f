"""Order ids: UUIDv7, whose `rand_a` names the partition of the order.

An id tells when it was made, so that lists page by it and creation can refuse stale ones.
"""

from __future__ import annotations

import os
import time
from uuid import UUID

PARTITION_MAX = 0xFFF

ID_LENGTH = 36
"""Characters of an id: lists of ids are joined without anything between them."""

ENGINE_STREAM_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Where the engine's own events (halt, resume) stand, as if it were an order."""

KEYS_ID = "ffffffff-ffff-ffff-ffff-fffffffffffe"
"""The same for what happens to API keys."""

SYSTEM_STREAM_IDS = frozenset({ENGINE_STREAM_ID, KEYS_ID})
"""The highest of all ids, so that no list of orders, which begins below `KEYS_ID`, shows them."""

_RANDOM_DIGITS = 16
_POOL_BYTES = 4096
_pool: list[str] = []
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""The two bits of a UUID's variant, and two random ones."""


def _random() -> str:
    """62 random bits, and two that are the variant's, in hexadecimal.

    The kernel is asked for many at once: a call costs more than the rest.
    """
    if not _pool:
        digits = os.urandom(_POOL_BYTES).hex()
        _pool.extend(
            digits[at : at + _RANDOM_DIGITS] for at in range(0, len(digits), _RANDOM_DIGITS)
        )
    taken = _pool.pop()
    return _VARIANT[taken[0]] + taken[1:]


# A forked child must not draw what its parent draws.
os.register_at_fork(after_in_child=_pool.clear)


def new_order_id(partition: int = 0, *, now_ms: int | None = None) -> str:
    """A fresh id in canonical form."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    when, random = f"{ms:012x}", _random()
    return f"{when[:8]}-{when[8:]}-7{partition & PARTITION_MAX:03x}-{random[:4]}-{random[4:]}"


def trace_id(order_id: str) -> str:
    """The trace of an order, as 32 hexadecimal digits."""
    return order_id.replace("-", "")


def created_ms(order_id: str) -> int:
    """When the id was made, ms since the epoch."""
    return int(order_id[:8] + order_id[9:13], 16)


def first_id_at(ms: int) -> str:
    """The lowest possible id made at or after `ms`: the bound of a range by time."""
    return str(UUID(int=(max(ms, 0) & ((1 << 48) - 1)) << 80))


def parse_order_id(text: str) -> str | None:
    """The canonical form of `text`, or None where it is not a UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
