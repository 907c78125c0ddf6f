"""Raydium CLMM: a fee that rises with the distance that the price moved lately.

Ticks are counted in groups of the pool's tick spacing. The volatility is that of a reference plus
10,000 for each group between the price and where it stood at the reference; the fee rises with its
square. The formulas are those that the program's source of 2026-07-16 and the vectors show.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.pools.raydium.clmm.ticks import MAX_TICK, MIN_TICK, sqrt_price_at

GROUP_VOLATILITY = 10_000
_REDUCTION_UNIT = 10_000
_RATE_MAX_PPM = 100_000
_CONTROL_UNIT = 10**13
_NO_EDGE = (0, 0)


class DynamicFee(NamedTuple):
    """The state of a pool's dynamic fee, in the order of its fields in the account."""

    filter_s: int
    """A reference stays at least so long, in seconds."""
    decay_s: int
    """After so long, the volatility is forgotten."""
    reduction: int
    """The share of the volatility that a new reference keeps, in 1/10,000."""
    control: int
    """How steeply the fee rises."""
    volatility_max: int
    group: int
    """The group of ticks that the price was in at the reference."""
    reference: int
    """The volatility at the reference."""
    volatility: int
    """The volatility of the last step of the last swap."""
    updated_s: int
    """When the reference was taken, Unix time in seconds."""

    def at(self, group: int, time_s: int) -> DynamicFee:
        """As a swap at `time_s` finds it, which begins in `group`."""
        age = max(0, time_s - self.updated_s)
        if age < self.filter_s:
            return self
        kept = self.volatility * self.reduction // _REDUCTION_UNIT if age < self.decay_s else 0
        return self._replace(group=group, reference=kept, updated_s=time_s)


class FixedRate:
    """The fee along a walk where it is the same everywhere."""

    __slots__ = ("edge", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.edge = _NO_EDGE
        """The sqrt price and the tick beyond which no step goes."""

    def begin(self, goal: int, liquidity: int) -> int:  # noqa: ARG002 - see DynamicRate
        """How far a step goes that could go to `goal`; `rate` is its fee."""
        return goal

    def end(self, tick: int) -> None:
        """The step came to `tick`."""

    def state(self) -> DynamicFee | None:
        """The dynamic fee after the walk."""
        return None


class DynamicRate(FixedRate):
    """The fee along a walk from `tick`, of a pool with a dynamic fee as its swap finds it.

    A step ends with its group, unless no fee is paid on it or the fee is the same beyond it.
    """

    __slots__ = (
        "_a_to_b", "_base_ppm", "_fee", "_group", "_max", "_skipped", "_slope", "_spacing",
        "_volatility",
    )  # fmt: skip

    def __init__(
        self, fee: DynamicFee, base_ppm: int, spacing: int, tick: int, a_to_b: bool
    ) -> None:
        super().__init__(base_ppm)
        self._fee = fee
        self._base_ppm = base_ppm
        self._spacing = spacing
        self._group = tick // spacing
        self._a_to_b = a_to_b
        self._max = fee.volatility_max
        self._slope = fee.control * spacing * spacing
        self._volatility = fee.volatility
        self._skipped = False

    def begin(self, goal: int, liquidity: int) -> int:
        """How far a step goes that could go to `goal`; `rate` is its fee."""
        self._volatility = volatility = self._volatility_here()
        risen = -(-self._slope * volatility * volatility // _CONTROL_UNIT)
        self.rate = min(_RATE_MAX_PPM, self._base_ppm + min(_RATE_MAX_PPM, risen))
        self._skipped = not liquidity or volatility == self._max
        if self._skipped:
            self.edge = _NO_EDGE
            return goal
        if self._a_to_b:
            tick = max(self._group * self._spacing, MIN_TICK)
            price = sqrt_price_at(tick)
            target = price if price > goal else goal
        else:
            tick = min((self._group + 1) * self._spacing, MAX_TICK)
            price = sqrt_price_at(tick)
            target = price if price < goal else goal
        self.edge = price, tick
        return target

    def end(self, tick: int) -> None:
        """Moves on to the next group; after a skip, to the one that follows `tick`."""
        if self._skipped:
            self._group, beyond = divmod(tick, self._spacing)
            self._group -= not self._a_to_b and not beyond
            if self._volatility != self._max:
                self._volatility = self._volatility_here()
        self._group += -1 if self._a_to_b else 1

    def state(self) -> DynamicFee | None:
        """With the volatility of the last step."""
        return self._fee._replace(volatility=self._volatility)

    def _volatility_here(self) -> int:
        fee = self._fee
        volatility = fee.reference + abs(fee.group - self._group) * GROUP_VOLATILITY
        return volatility if volatility < self._max else self._max
