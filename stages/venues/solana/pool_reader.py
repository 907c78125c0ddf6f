"""The pools that can be quoted from now, as a graph. `freshness` decides whether there are any."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from events.reason_codes import ReasonCode
from events.types import Quote
from stages.pools.contract import Clock
from stages.routing.board import Listed, PoolGraph
from stages.runtime.stage import VenueRefusal
from stages.venues.solana.accounts.cache import STALE, AccountCache, Quotable

NO_DATA = "no recent account data"
NO_POOL = "no pool can be quoted from"


class RefusedPool(NamedTuple):
    """A pool that cannot be quoted from, and why."""

    dex: str
    address: str
    mints: frozenset[str]
    error: ReasonCode


class PoolView(NamedTuple):
    """All pools as of one reading of their accounts."""

    readings: int
    """The number of that reading."""
    graph: PoolGraph
    refused: Mapping[frozenset[str], Sequence[Quote]]
    """A failed quote for each pool that cannot be quoted from, by the mints it trades."""
    warnings: Mapping[str, tuple[str, ...]]
    """The codes of `events.token_warnings` by mint."""


def freshness(
    slot: int | None, *, stale: bool, quotable: int = 0, refused: Collection[str] = ()
) -> str:
    """Why no quote may be computed; empty where the data is recent enough. Pure.

    `slot` is the newest one that was read; `stale`: whether the chain has not advanced for too
    long; `quotable`: how many pools can be quoted from; `refused`: the codes of those that cannot.
    Single pools may be stale as long as another one can be quoted from.
    """
    if slot is None or stale:
        return NO_DATA
    return NO_POOL if STALE in refused and not quotable else ""


class PoolReader:
    """Reads the account cache: one `PoolView` for each reading of the accounts."""

    def __init__(self, cache: AccountCache, dexes: Collection[str], *, venue: str) -> None:
        """`venue` stands in for the DEX of a pool whose program is not known."""
        self._cache = cache
        self._dexes = frozenset(dexes)
        self._venue = venue
        self._view: PoolView | None = None

    def view(self) -> PoolView:
        """The pools as of the newest reading. Raises VenueRefusal `quotes-stale`."""
        newest = self._cache.history.newest
        slot = newest.slot if newest is not None else None
        _check(freshness(slot, stale=self._cache.stale()))
        assert slot is not None, "the data is fresh"
        if self._view is None or self._view.readings != self._cache.readings:
            self._view = self._read(slot)
        return self._view

    def _read(self, slot: int) -> PoolView:
        quotable, refused = self._quotable()
        codes = {pool.error for pool in refused}
        _check(freshness(slot, stale=False, quotable=len(quotable), refused=codes))
        quotes: dict[frozenset[str], list[Quote]] = {}
        for pool in refused:
            quote = Quote(pool.dex, pool.address, 0, 0, 0, slot, pool.error)
            quotes.setdefault(pool.mints, []).append(quote)
        # The clock is not used where there is no pool.
        clock = max((each.clock for each in quotable), default=Clock(slot, 0))
        graph = PoolGraph((Listed(q.family, q.pool, q.clock.slot) for q in quotable), clock)
        return PoolView(self._cache.readings, graph, quotes, self._cache.warnings())

    def _quotable(self) -> tuple[list[Quotable], list[RefusedPool]]:
        """The pools of these DEXes, and those that cannot be quoted from."""
        quotable, refused = list[Quotable](), list[RefusedPool]()
        for pool in self._cache.watched():
            try:
                current = self._cache.quotable(pool.address)
            except VenueRefusal as error:
                dex = pool.family.dex if pool.family else self._venue
                refused.append(RefusedPool(dex, pool.address, pool.mints, error.code))
                continue
            if current.family.dex in self._dexes:
                quotable.append(current)
        return quotable, refused


def _check(why_stale: str) -> None:
    if why_stale:
        raise VenueRefusal("quotes-stale", why_stale, retryable=True)
