"""Order ids: UUIDv7, whose `rand_a` names the partition of the order.

An id tells when it was made, so that lists page by it and creation can refuse stale ones.
"""

from __future__ import annotations

import os
import time
from uuid import UUID

PARTITION_MAX = 0xFFF

ENGINE_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Where the engine's own events (halt, resume) stand, as if it were an order. The highest of all
ids, so that no list of orders, which begins below it, ever shows it."""

_RANDOM_BYTES = 8
_POOL_BYTES = 512 * _RANDOM_BYTES
_pool = bytearray()


def _random() -> int:
    """62 random bits. The kernel is asked for many at once: a call costs more than the rest."""
    if not _pool:
        _pool.extend(os.urandom(_POOL_BYTES))
    taken = int.from_bytes(_pool[-_RANDOM_BYTES:])
    del _pool[-_RANDOM_BYTES:]
    return taken & ((1 << 62) - 1)


# A forked child must not draw what its parent draws.
os.register_at_fork(after_in_child=_pool.clear)


def new_order_id(partition: int = 0, *, now_ms: int | None = None) -> str:
    """A fresh id in canonical form."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    variant = 0b10 << 62
    value = ms << 80 | 0x7 << 76 | (partition & PARTITION_MAX) << 64 | variant | _random()
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def created_ms(order_id: str) -> int:
    """When the id was made, ms since the epoch."""
    return int(order_id[:8] + order_id[9:13], 16)


def first_id_at(ms: int) -> str:
    """The lowest possible id made at or after `ms`: the bound of a range by time."""
    return str(UUID(int=(max(ms, 0) & ((1 << 48) - 1)) << 80))


def parse_order_id(text: str) -> str | None:
    """The canonical form of `text`, or None where it is no UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
