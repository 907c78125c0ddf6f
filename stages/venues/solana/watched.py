"""One pool under watch: which accounts it takes, and what they decode to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

import structlog

from stages.venues.pool import Accounts, Clock, Family, Pool, RawAccount, Rejected, Unsupported
from stages.venues.solana.history import Seen, seen

NOT_READ = "pool-not-read"
NO_ACCOUNT = "pool-not-found"
NO_FAMILY = "pool-of-no-known-program"
OTHER_TOKENS = "pool-of-other-tokens"
UNREADABLE = "pool-unreadable"
EXCEEDS_LIMIT = "pool-exceeds-node-limit"
"""It wants more accounts than the nodes put into one answer."""

_log = structlog.get_logger()


class WatchedPool:
    """A pool of the POOLS file. `fault` says why it has no `pool`; empty if it has one."""

    def __init__(self, address: str, mints: frozenset[str], families: Sequence[Family]) -> None:
        self.address = address
        self.mints = mints
        self.wanted: tuple[str, ...] = (address,)
        """The addresses that are read for it, in one and the same answer."""
        self.family: Family | None = None
        self.pool: Pool | None = None
        self.fault = NOT_READ
        self.clock = Clock(0, 0)
        self.read_s = -inf
        """When its accounts were read last, by the monotonic clock."""
        self._families = families
        self._used: dict[str, RawAccount] | None = None
        self.seen: Seen | None = None
        """What the ring keeps of it."""

    def take(self, accounts: Accounts, clock: Clock, now_s: float) -> bool:
        """Takes what the chain has at the clock's slot, all from one answer.

        False if more accounts are needed: then `wanted` has grown and the pool is as it was.
        """
        used = {address: accounts[address] for address in self.wanted if address in accounts}
        if used != self._used:
            try:
                needed = self._needs(used)
                if not set(needed) <= set(self.wanted):
                    self.wanted = needed
                    return False
                self.wanted = needed
                self.pool, self.fault = self._decode(used), ""
            except Exception as error:  # strangers wrote these bytes: one pool's loss
                self._failed(error)
            self._used = {address: used[address] for address in self.wanted if address in used}
        self.clock, self.read_s = clock, now_s
        self._look()
        return True

    def exceeds(self, most: int, now_s: float) -> bool:
        """Whether it wants more than `most` accounts in one answer: then it cannot be quoted."""
        if len(self.wanted) <= most:
            return False
        if self.fault != EXCEEDS_LIMIT:
            _log.warning(
                "pool not quoted", pool=self.address, reason=EXCEEDS_LIMIT,
                accounts=len(self.wanted), most=most,
            )  # fmt: skip
        self.pool, self.fault, self._used, self.read_s = None, EXCEEDS_LIMIT, None, now_s
        return True

    def _look(self) -> None:
        """Fees change with the clock alone; what did not change stays the very same object."""
        found = None
        if self.pool is not None and self.family is not None:
            try:
                found = seen(self.pool, self.family.dex, self.clock)
            except (Rejected, ValueError) as error:
                _log.debug("pool has no price", pool=self.address, error=repr(error))
        if found != self.seen:
            self.seen = found

    def _needs(self, used: Accounts) -> tuple[str, ...]:
        found = used.get(self.address)
        if found is None:
            return (self.address,)
        if self.family is None or not self.family.is_pool(found):
            self.family = next((f for f in self._families if f.is_pool(found)), None)
        if self.family is None:
            return (self.address,)
        return tuple(dict.fromkeys((self.address, *self.family.needs(self.address, used))))

    def _decode(self, used: Accounts) -> Pool:
        if self.address not in used:
            raise Unsupported(NO_ACCOUNT)
        if self.family is None:
            raise Unsupported(NO_FAMILY, used[self.address].owner)
        pool = self.family.decode(self.address, used)
        if {pool.mint_a, pool.mint_b} != self.mints:
            raise Unsupported(OTHER_TOKENS, f"{pool.mint_a} {pool.mint_b}")
        return pool

    def _failed(self, error: Exception) -> None:
        fault = error.reason if isinstance(error, Unsupported) else UNREADABLE
        if fault != self.fault:
            # One that is not there may well be created later: snipers wait for such.
            log = _log.debug if fault == NO_ACCOUNT else _log.warning
            log("pool not quoted", pool=self.address, reason=fault, error=repr(error))
        self.pool, self.fault = None, fault


def together(pools: Iterable[WatchedPool], most: int) -> Iterator[list[WatchedPool]]:
    """The pools in groups of at most `most` addresses: one answer each, so that no pool is ever
    put together from two slots. A pool that alone wants more is a group of its own.
    """
    group: list[WatchedPool] = []
    addresses: set[str] = set()
    for pool in pools:
        joined = addresses | set(pool.wanted)
        if group and len(joined) > most:
            yield group
            group, joined = [], set(pool.wanted)
        group.append(pool)
        addresses = joined
    if group:
        yield group
