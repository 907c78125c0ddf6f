"""The pools at one slot, as edges between the mints that they swap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stages.pools.contract import PPB, Clock, Family, Pool


class Listed(NamedTuple):
    """A pool, its family, and the slot of its data."""

    family: Family
    pool: Pool
    slot: int


class PoolDirection(NamedTuple):
    """A pool and the direction of a swap through it."""

    listed: Listed
    a_to_b: bool

    @property
    def mint_out(self) -> str:
        """The mint of the output."""
        pool = self.listed.pool
        return pool.mint_b if self.a_to_b else pool.mint_a


class PoolGraph:
    """All pools at one slot."""

    def __init__(self, pools: Iterable[Listed], clock: Clock) -> None:
        self.clock = clock
        self._rates: dict[tuple[str, str], tuple[int, int] | None] = {}
        self._ways: dict[tuple[str, str], list[PoolDirection]] = {}
        for listed in pools:
            a, b = listed.pool.mint_a, listed.pool.mint_b
            self._ways.setdefault((a, b), []).append(PoolDirection(listed, True))
            self._ways.setdefault((b, a), []).append(PoolDirection(listed, False))

    def ways(self, mint_in: str, mint_out: str) -> list[PoolDirection]:
        """The pools that swap one mint for the other, each with its direction."""
        return self._ways.get((mint_in, mint_out), [])

    def marginal(self, direction: PoolDirection) -> tuple[int, int]:
        """The price of a very small swap after fees: base units out per base unit in."""
        return marginal(direction.listed.pool, direction.a_to_b, self.clock)

    def rate(self, mint_in: str, mint_out: str) -> tuple[int, int] | None:
        """The spot price of the pool with most of mint_in, cached; None: there is no pool."""
        pair = mint_in, mint_out
        if pair not in self._rates:
            direction = max(self.ways(*pair), key=_depth, default=None)
            self._rates[pair] = direction.listed.pool.spot(direction.a_to_b) if direction else None
        return self._rates[pair]


def _depth(direction: PoolDirection) -> int:
    return direction.listed.pool.reserve_a if direction.a_to_b else direction.listed.pool.reserve_b


def marginal(pool: Pool, a_to_b: bool, clock: Clock) -> tuple[int, int]:
    """As `PoolGraph.marginal`, of a pool in any state."""
    out, into = pool.spot(a_to_b)
    return out * (PPB - pool.fee_ppb(a_to_b, clock)), into * PPB


def above(left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether one fraction is greater than another."""
    return left[0] * right[1] > right[0] * left[1]
