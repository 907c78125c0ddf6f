"""One pool under watch: which accounts it takes, and what they decode to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf

import structlog

from events.reason_codes import MaybeReason, ReasonCode
from events.telemetry.error_text import error_text
from stages.pools.contract import Accounts, Clock, Family, Pool, RawAccount, Rejected, Unsupported
from stages.pools.mints import PAUSED
from stages.pools.probe import first_rate
from stages.venues.solana.accounts.history import NOT_KNOWN, NOT_THERE, Probed, Seen, seen
from stages.venues.solana.accounts.mints import NO_MINT, mint_fault, mint_warnings
from stages.venues.solana.accounts.pools_file import TokenEntry

NOT_READ: ReasonCode = "pool-not-read"
NO_ACCOUNT: ReasonCode = "pool-not-found"
NO_FAMILY: ReasonCode = "pool-of-no-known-program"
OTHER_TOKENS: ReasonCode = "pool-of-other-tokens"
UNREADABLE: ReasonCode = "pool-unreadable"
NO_SWAPS = frozenset({NO_ACCOUNT, NO_FAMILY, NO_MINT})
"""No program can have taken a swap."""
EXCEEDS_LIMIT: ReasonCode = "pool-exceeds-node-limit"
"""The pool needs more accounts than the nodes put into one answer."""

_log = structlog.get_logger()


class WatchedPool:
    """A pool of the POOLS file. `fault` says why it has no `pool`; empty if it has one."""

    def __init__(
        self, address: str, tokens: Mapping[str, TokenEntry], families: Sequence[Family]
    ) -> None:
        """`tokens`: the two that the pool trades according to POOLS, by mint."""
        self.address = address
        self.mints = frozenset(tokens)
        self.addresses: tuple[str, ...] = (address, *tokens)
        """The addresses that are read for it, in one and the same answer: its mints among them."""
        self.warnings: Mapping[str, tuple[str, ...]] = {}
        """The permissions of its mints over their tokens, by mint."""
        self._tokens = tokens
        self.family: Family | None = None
        self.pool: Pool | None = None
        self.fault: MaybeReason = NOT_READ
        self.clock = Clock(0, 0)
        self.read_s = -inf
        """When its accounts were read last, by the monotonic clock."""
        self._families = families
        self._used: dict[str, RawAccount] | None = None
        self._probed: Probed | None = None
        self.seen: Seen | None = NOT_KNOWN
        """Its entry for the ring; None: the chain has no such pool."""

    def take(self, accounts: Accounts, clock: Clock, now_s: float) -> bool:
        """Takes what the chain has at the clock's slot, all from one answer.

        False if more accounts are needed: then `addresses` has grown and the pool is as it was.
        """
        used = {address: accounts[address] for address in self.addresses if address in accounts}
        if used != self._used:
            self.warnings = {
                mint: mint_warnings(used.get(mint), token) for mint, token in self._tokens.items()
            }
            try:
                needed = self._needs(used)
                if not set(needed) <= set(self.addresses):
                    self.addresses = needed
                    return False
                self.addresses = needed
                self.pool, self.fault = self._decode(used), ""
            except Exception as error:  # strangers wrote these bytes: one pool's loss
                self._failed(error)
            self._used = {address: used[address] for address in self.addresses if address in used}
        self.clock, self.read_s = clock, now_s
        self._look()
        return True

    def exceeds(self, most: int, now_s: float) -> bool:
        """Whether it needs more than `most` accounts in one answer: then it cannot be quoted."""
        if len(self.addresses) <= most:
            return False
        if self.fault != EXCEEDS_LIMIT:
            _log.warning(
                "pool_not_quoted", pool=self.address, reason=EXCEEDS_LIMIT,
                accounts=len(self.addresses), most=most,
            )  # fmt: skip
        self.pool, self.fault, self._used, self.read_s = None, EXCEEDS_LIMIT, None, now_s
        return True

    def _look(self) -> None:
        """Fees change with the clock alone; what did not change stays the very same object."""
        seen = self._seen()
        if seen != self.seen:
            self.seen = seen

    def _seen(self) -> Seen | None:
        if self.fault in NO_SWAPS:
            return None
        if self.pool is not None and self.family is not None:
            try:
                return seen(self._probe(self.pool), self.family.dex, self.clock)
            except (Rejected, ValueError, ArithmeticError) as error:
                _log.debug("pool_without_price", pool=self.address, error=error_text(error))
        last = (self.seen or NOT_THERE)._replace(known=False)
        if self.fault == PAUSED:  # no transfer, and so no swap
            return last._replace(rate_ab=None, rate_ba=None)
        return last  # whether it takes swaps cannot be told: as far as events go, all is as it was

    def _probe(self, pool: Pool) -> Probed:
        """A closed direction is probed at each slot: it may open by the clock alone. An open one is
        probed again once the pool has changed.
        """
        probed = self._probed
        if probed is None or probed.pool is not pool or None in (probed.rate_ab, probed.rate_ba):
            rates = first_rate(pool, True, self.clock), first_rate(pool, False, self.clock)
            probed = self._probed = Probed(pool, *rates, pool.reserve_a, pool.reserve_b)
        return probed

    def _needs(self, used: Accounts) -> tuple[str, ...]:
        account = used.get(self.address)
        if account is None:
            return (self.address, *self._tokens)
        if self.family is None or not self.family.is_pool(account):
            self.family = next((f for f in self._families if f.is_pool(account)), None)
        of_family = self.family.needs(self.address, used) if self.family is not None else ()
        return tuple(dict.fromkeys((self.address, *self._tokens, *of_family)))

    def _decode(self, used: Accounts) -> Pool:
        if self.address not in used:
            raise Unsupported(NO_ACCOUNT)
        for mint, token in self._tokens.items():
            fault = mint_fault(used.get(mint), token)
            if fault:
                raise Unsupported(fault, token.symbol)
        if self.family is None:
            raise Unsupported(NO_FAMILY, used[self.address].owner)
        pool = self.family.decode(self.address, used)
        if {pool.mint_a, pool.mint_b} != self.mints:
            raise Unsupported(OTHER_TOKENS, f"{pool.mint_a} {pool.mint_b}")
        return pool

    def _failed(self, error: Exception) -> None:
        fault = error.reason if isinstance(error, Unsupported) else UNREADABLE
        if fault != self.fault:
            text = error_text(error)
            # One that is not there may well be created later: snipers wait for such.
            if fault == NO_ACCOUNT:
                _log.debug("pool_account_absent", pool=self.address, error=text)
            else:
                _log.warning("pool_not_quoted", pool=self.address, reason=fault, error=text)
        self.pool, self.fault = None, fault


def together(pools: Iterable[WatchedPool], most: int) -> Iterator[list[WatchedPool]]:
    """The pools in groups of at most `most` addresses, one answer each, so that a pool is never put
    together from two slots. A pool that alone needs more is a group of its own.
    """
    group: list[WatchedPool] = []
    addresses: set[str] = set()
    for pool in pools:
        joined = addresses | set(pool.addresses)
        if group and len(joined) > most:
            yield group
            group, joined = [], set(pool.addresses)
        group.append(pool)
        addresses = joined
    if group:
        yield group
