"""The simulated price path: a number a slot, from the seed alone, the same in every process.

Rule of this file: pure integers, no state but caches. A path is the sum of noises, each twice as
slow as the one before and a little stronger: near a random walk, yet any slot is computed by
itself, without those before it, and it never leaves its bounds.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

PPM = 1_000_000
WEIGHTS = (10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453)
"""Of the noise that changes every slot, every second, every fourth …: each √2 times the last."""
_UNIT = 1 << 20


@lru_cache(maxsize=65_536)
def _node(seed: int, pair: str, octave: int, number: int) -> int:
    """A number in -_UNIT..+_UNIT."""
    digest = sha256(f"{seed}:path:{pair}:{octave}:{number}".encode()).digest()
    return int.from_bytes(digest[:8]) % (2 * _UNIT + 1) - _UNIT


@lru_cache(maxsize=16_384)
def factor_ppm(seed: int, pair: str, slot: int, volatility_bps: int) -> int:
    """The factor of the pair's price at rest at this slot, in millionths.

    It stays within `volatility_bps` of a million either way.
    """
    total = 0
    for octave, weight in enumerate(WEIGHTS):
        period = 1 << octave
        number, into = divmod(slot, period)
        here = _node(seed, pair, octave, number)
        there = _node(seed, pair, octave, number + 1)
        total += weight * (here * (period - into) + there * into) // period
    bound = volatility_bps * PPM // 10_000
    return PPM + bound * total // (sum(WEIGHTS) * _UNIT)
