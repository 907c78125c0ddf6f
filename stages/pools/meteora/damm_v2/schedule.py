"""The base fee of a DAMM v2 pool while nothing but time or price moves it, per 1e9.

Formulas: docs.meteora.ag, time scheduler and market cap scheduler. Steps passed lower a cliff fee c
by r each, to c - r·n, or by r/10000 of what is left each, to c·(1 - r/10000)^n. Steps pass with
time (or slots) since activation, or with √P above where it began; a market cap scheduler that has
expired is at its last step. The power is taken in Q64 by squaring, each product rounded down: so it
agrees with the vectors of damm-pool-09, -10, -11 and -27 and of the sequence.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import msgspec

_ONE_X64 = 1 << 64
_BPS = 10_000


class Schedule(Protocol):
    """A base fee by the chain's clock and the pool's price."""

    def numerator(self, point: int, sqrt_price: int) -> int:
        """The base fee now. `point` is a slot or a time in seconds, as the pool is activated by."""
        ...


class Decay(msgspec.Struct, frozen=True, gc=False):
    """How steps lower a fee."""

    cliff: int
    reduction: int
    steps: int
    exponential: bool

    def after(self, steps: int) -> int:
        """The fee after so many steps, but at most all of them."""
        steps = min(steps, self.steps)
        if self.exponential:
            return decayed(self.cliff, self.reduction, steps)
        return self.cliff - self.reduction * steps


class FlatFee(msgspec.Struct, frozen=True, gc=False):
    """Always the same."""

    cliff: int

    def numerator(self, point: int, sqrt_price: int) -> int:  # noqa: ARG002 - it never changes
        """The fee, at any point."""
        return self.cliff


class TimeSchedule(msgspec.Struct, frozen=True, gc=False):
    """Modes 0 and 1: a step each `period` since activation."""

    decay: Decay
    start: int
    period: int

    def numerator(self, point: int, sqrt_price: int) -> int:  # noqa: ARG002 - time alone counts
        """The fee at this point."""
        return self.decay.after((point - self.start) // self.period)


class MarketCapSchedule(msgspec.Struct, frozen=True, gc=False):
    """Modes 3 and 4: a step each `step_bps` that √P is above its beginning."""

    decay: Decay
    sqrt_start: int
    step_bps: int
    expires: int
    """The last point at which the price counts."""

    def numerator(self, point: int, sqrt_price: int) -> int:
        """The fee at this price; the last step's once expired."""
        if point > self.expires:
            return self.decay.after(self.decay.steps)
        risen = sqrt_price - self.sqrt_start
        if risen <= 0:
            return self.decay.cliff
        return self.decay.after(risen * _BPS // (self.sqrt_start * self.step_bps))


@lru_cache(maxsize=4096)
def decayed(cliff: int, reduction_bps: int, steps: int) -> int:
    """The cliff fee · (1 - reduction/10000)^steps in Q64, rounded down."""
    power, factor = _ONE_X64, _ONE_X64 - (reduction_bps << 64) // _BPS
    while steps:
        if steps & 1:
            power = power * factor >> 64
        factor = factor * factor >> 64
        steps >>= 1
    return cliff * power >> 64
