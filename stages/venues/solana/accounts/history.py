"""A short ring of past slots: the price and reserves of each pool. Pure; integers throughout.

A pool has a tick only where its program takes a swap at that slot, and at a rate at which a swap is
filled: a price that triggers an order must be tradable.

Slots that were not read (missed, or older than the ring) have no ticks: unlike the simulation, a
chain's past cannot be computed again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import NamedTuple

from events import money
from stages.pools.contract import PPB, PPM, Clock, Pool
from stages.pools.probe import Rate
from stages.venues import Pair, PoolCause, PoolEvent, Tick

GROWN_PPM = 10_000
"""The least growth of a reserve that counts as added liquidity: swaps there and back in one slot
leave their fees on both sides, far less than that."""
KEPT_S = 200.0
"""How far back the ring reaches."""
MOMENTS_MAX = 4_096
"""A bound of memory, for chains of more than twenty slots a second."""


class Seen(NamedTuple):
    """A pool at a slot."""

    dex: str
    mint_a: str
    mint_b: str
    rate_ab: Rate | None
    """Before fees; None: the program takes no swap that pays mint_b. So is the next."""
    rate_ba: Rate | None
    fee_ab_ppb: int
    fee_ba_ppb: int
    reserve_a: int
    reserve_b: int
    known: bool = True
    """False: its accounts cannot be read now, and the rates are those that were known last."""

    def takes(self, mint_in: str) -> bool:
        """Whether the program took swaps this way when that was known last."""
        return (self.rate_ab if mint_in == self.mint_a else self.rate_ba) is not None

    def price(self, mint_in: str, decimals_in: int, decimals_out: int) -> str:
        """The net price of the pool for very small amounts, whole tokens, rounded down."""
        a_to_b = mint_in == self.mint_a
        units_out, units_in = (self.rate_ab if a_to_b else self.rate_ba) or (0, 1)
        fee_ppb = self.fee_ab_ppb if a_to_b else self.fee_ba_ppb
        return money.price(units_out * (PPB - fee_ppb), decimals_out, units_in * PPB, decimals_in)


NOT_KNOWN = Seen("", "", "", (0, 1), (0, 1), 0, 0, 0, 0, known=False)
"""A pool that was not read yet. It may have taken swaps before, so that its first reading is not an
event."""
NOT_THERE = NOT_KNOWN._replace(rate_ab=None, rate_ba=None)
"""A pool that was absent, and whose first accounts cannot be decoded yet."""


class Probed(NamedTuple):
    """The properties of a pool that do not depend on time, once it is open."""

    pool: Pool
    rate_ab: Rate | None
    rate_ba: Rate | None
    reserve_a: int
    reserve_b: int


def seen(probed: Probed, dex: str, clock: Clock) -> Seen:
    """The entry of a pool in the ring."""
    pool, rate_ab, rate_ba, reserve_a, reserve_b = probed
    return Seen(
        dex, pool.mint_a, pool.mint_b, rate_ab, rate_ba,
        pool.fee_ppb(True, clock), pool.fee_ppb(False, clock), reserve_a, reserve_b,
    )  # fmt: skip


class SlotSnapshot(NamedTuple):
    """All pools at a slot."""

    slot: int
    time_us: int
    """When this process read it."""
    pools: Mapping[str, Seen]
    """By address, without those that the chain does not have."""


class PairFilter(NamedTuple):
    """Which ticks are asked for: a pair at some DEXes, by its mints."""

    dexes: frozenset[str]
    mint_in: str
    mint_out: str

    def trades(self, pool: Seen) -> bool:
        """Whether this pool is of it."""
        return pool.dex in self.dexes and {pool.mint_a, pool.mint_b} == {
            self.mint_in,
            self.mint_out,
        }


class PoolHistory:
    """The moments of the last `kept_s`, in order of slots."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_us = int(kept_s * 1_000_000)
        self._moments: deque[SlotSnapshot] = deque(maxlen=MOMENTS_MAX)

    @property
    def newest(self) -> SlotSnapshot | None:
        """The last moment."""
        return self._moments[-1] if self._moments else None

    def record(self, snapshot: SlotSnapshot) -> None:
        """Adds the newest snapshot. An earlier slot (the chain was started again) voids all others.

        The first reading of a slot is kept: watchers may have passed that slot already, so that a
        later reading of it counts from the next slot on.
        """
        newest = self.newest
        if newest is not None and snapshot.slot == newest.slot:
            return
        if newest is not None and snapshot.slot < newest.slot:
            self._moments.clear()
        self._moments.append(snapshot)
        while snapshot.time_us - self._moments[0].time_us > self._kept_us:
            self._moments.popleft()

    def slot_at(self, time_us: int, slot_ms: float) -> int:
        """The slot of a time, or a slot shortly before it; 0 while none is known. Before the ring
        begins, slots are taken to be `slot_ms` long or longer.
        """
        index = bisect_right(self._moments, time_us, key=lambda snapshot: snapshot.time_us)
        if index:
            return self._moments[index - 1].slot
        if not self._moments:
            return 0
        oldest = self._moments[0]
        slot_us = max(1, int(slot_ms * 1000))
        return max(0, oldest.slot - 1 - (oldest.time_us - time_us) // slot_us)

    def ticks(self, market: PairFilter, pair: Pair, first: int, last: int) -> list[Tick]:
        """The best tick of each slot from `first` through `last` that was seen."""
        ticks = (self._tick(market, pair, snapshot) for snapshot in self._between(first, last))
        return [tick for tick in ticks if tick is not None]

    def events(self, market: PairFilter, pair: Pair, first: int, last: int) -> Iterator[PoolEvent]:
        """The pools that began to take swaps or gained liquidity from slot `first` through `last`.

        A pool counts from the first slot at which its program takes swaps this way, however long
        its accounts existed before. A swap takes from one side what it adds to the other: where a
        side grew by `GROWN_PPM` or more and neither fell, liquidity was added.
        """
        for before, after in pairwise(self._moments):
            if not first <= after.slot <= last:
                continue
            for address, pool in after.pools.items():
                earlier = before.pools.get(address)
                if earlier is pool or not market.trades(pool):
                    continue
                event = _event(market, pair, after.slot, address, earlier, pool)
                if event is not None:
                    yield event

    def _between(self, first: int, last: int) -> Iterator[SlotSnapshot]:
        start = bisect_right(self._moments, first - 1, key=lambda slot_snapshot: slot_snapshot.slot)
        for snapshot in islice(self._moments, start, None):
            if snapshot.slot > last:
                return
            yield snapshot

    def _tick(self, market: PairFilter, pair: Pair, snapshot: SlotSnapshot) -> Tick | None:
        prices = [
            (pool.price(market.mint_in, pair.decimals_in, pair.decimals_out), address)
            for address, pool in snapshot.pools.items()
            if pool.known and market.trades(pool) and pool.takes(market.mint_in)
        ]
        if not prices:
            return None
        price, address = max(prices, key=lambda value: money.price_units(value[0]))
        return Tick(snapshot.pools[address].dex, address, snapshot.slot, price)


def _event(
    market: PairFilter, pair: Pair, slot: int, address: str, earlier: Seen | None, pool: Seen
) -> PoolEvent | None:
    cause = _cause(earlier, pool, market.mint_in)
    if cause is None:
        return None
    return PoolEvent(
        cause,
        pool.dex,
        address,
        slot,
        pool.price(market.mint_in, pair.decimals_in, pair.decimals_out),
        pool.reserve_a if market.mint_in == pool.mint_a else pool.reserve_b,
    )


def _cause(earlier: Seen | None, pool: Seen, mint_in: str) -> PoolCause | None:
    if not (pool.known and pool.takes(mint_in)):
        return None
    if earlier is None:
        return "pool-created"
    if earlier.known and _grew(earlier, pool):
        return "liquidity-added"
    return None if earlier.takes(mint_in) else "pool-opened"


def _grew(before: Seen, after: Seen) -> bool:
    grown_a = after.reserve_a - before.reserve_a
    grown_b = after.reserve_b - before.reserve_b
    if min(grown_a, grown_b) < 0:
        return False
    return _is_much(grown_a, before.reserve_a) or _is_much(grown_b, before.reserve_b)


def _is_much(grown: int, of: int) -> bool:
    return grown > 0 and grown * PPM >= of * GROWN_PPM
