"""The simulated pools: when one is created, gains liquidity and is gone, from the seed alone.

Rule of this file: pure. Time goes in cycles of `CYCLE_SLOTS`. In each, a pair of a `LAUNCHED` token
gets a pool at one venue, at a seeded slot of the first half; it gains liquidity a little later and
is gone when the cycle ends. Any other pair has its pools always, and gains liquidity once a cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

LAUNCHED = frozenset({"NEW"})
"""Tokens whose pools come and go: there is no route for them in between."""

CYCLE_SLOTS = 50
_CREATED_WITHIN = 24
_GAIN_WITHIN = 15
_WORTH = (5_000, 100_000)
"""Of a new pool, in dollars."""
_SETTLED_WORTH = (1_000_000, 10_000_000)


class Pool(NamedTuple):
    """The life of the pair's pool in one cycle."""

    venue: int
    """Which of the venues it is at."""
    cycle: int
    created: int
    """The slot; the first slot of the cycle where the pool existed before."""
    gains: int
    """The slot at which its liquidity doubles."""
    gone: int
    """The first slot without it."""
    dollars: int
    """Its liquidity when created."""
    launched: bool


@lru_cache(maxsize=4096)
def pool_of(seed: int, token_in: str, token_out: str, slot: int, venues: int) -> Pool:
    """The pair's pool in the cycle of a slot, the same both ways round."""
    pair = "-".join(sorted((token_in, token_out)))
    launched = not LAUNCHED.isdisjoint((token_in, token_out))
    cycle = slot // CYCLE_SLOTS
    first = cycle * CYCLE_SLOTS
    draw = sha256(f"{seed}:pool:{pair}:{cycle}".encode()).digest()
    low, high = _WORTH if launched else _SETTLED_WORTH
    created = first + 1 + draw[0] % _CREATED_WITHIN if launched else first
    return Pool(
        venue=draw[1] % venues,
        cycle=cycle,
        created=created,
        gains=created + 1 + draw[2] % _GAIN_WITHIN,
        gone=first + CYCLE_SLOTS,
        dollars=low + int.from_bytes(draw[3:7]) % (high - low),
        launched=launched,
    )


def pools_between(
    seed: int, token_in: str, token_out: str, first: int, last: int, venues: int
) -> Iterator[tuple[int, str, Pool]]:
    """(slot, cause, pool) of what happens from slot `first` through `last`, in order."""
    for cycle in range(first // CYCLE_SLOTS, last // CYCLE_SLOTS + 1):
        pool = pool_of(seed, token_in, token_out, cycle * CYCLE_SLOTS, venues)
        if pool.launched and first <= pool.created <= last:
            yield pool.created, "pool-created", pool
        if first <= pool.gains <= last:
            yield pool.gains, "liquidity-added", pool
