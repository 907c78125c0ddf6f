"""Order ids: UUIDv7, whose `rand_a` names the partition of the order.

An id contains its time of creation: lists page by id, and creation refuses stale ids.
"""

from __future__ import annotations

import os
import time
from uuid import UUID

PARTITION_MAX = 0xFFF

ID_LENGTH = 36
"""Characters of an id. Lists of ids are joined without a separator."""

ENGINE_STREAM_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""The id of the stream of the engine switch: halt and resume."""

KEYS_ID = "ffffffff-ffff-ffff-ffff-fffffffffffe"
"""The id of the stream of the API keys."""

SYSTEM_STREAM_IDS = frozenset({ENGINE_STREAM_ID, KEYS_ID})
"""The ids of the streams that are not orders. They are the highest ids: lists of orders begin below
`KEYS_ID` and do not contain them."""

_RANDOM_DIGITS = 16
_POOL_BYTES = 4096
_pool: list[str] = []
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""Random digit -> the digit with the two bits of a UUID's variant and two random bits."""


def _random() -> str:
    """Returns 62 random bits and the two of the variant, in hexadecimal.

    Random bytes are read in blocks, because the system call dominates the cost.
    """
    if not _pool:
        digits = os.urandom(_POOL_BYTES).hex()
        _pool.extend(
            digits[at : at + _RANDOM_DIGITS] for at in range(0, len(digits), _RANDOM_DIGITS)
        )
    taken = _pool.pop()
    return _VARIANT[taken[0]] + taken[1:]


# A forked child must not use the same random bytes as its parent.
os.register_at_fork(after_in_child=_pool.clear)


def new_order_id(partition: int = 0, *, now_ms: int | None = None) -> str:
    """Returns a new id in canonical form. `now_ms`: Unix time in ms; None: now."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    when, random = f"{ms:012x}", _random()
    return f"{when[:8]}-{when[8:]}-7{partition & PARTITION_MAX:03x}-{random[:4]}-{random[4:]}"


def trace_id(order_id: str) -> str:
    """Returns the trace id of an order: 32 hexadecimal digits."""
    return order_id.replace("-", "")


def created_ms(order_id: str) -> int:
    """Returns the time of creation, Unix time in ms."""
    return int(order_id[:8] + order_id[9:13], 16)


def first_id_at(ms: int) -> str:
    """Returns the lowest id that can be created at `ms`: the lower bound of a range by time."""
    return str(UUID(int=(max(ms, 0) & ((1 << 48) - 1)) << 80))


def parse_order_id(text: str) -> str | None:
    """Returns the canonical form of `text`, or None where it is not a UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
