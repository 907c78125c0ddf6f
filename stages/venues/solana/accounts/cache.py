"""The accounts of all watched pools: read once a slot, shared by all quotes of the process.

All accounts of one pool and the chain's clock come from one answer, so that a quote is exact for
the slot it names. Failures of nodes are survived; data that is too old is not quoted from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

import structlog

from events.reason_codes import ReasonCode
from events.telemetry.outages import NODE
from events.telemetry.server_clock import now_us as server_now_us
from stages.pools.contract import Clock, Family, Pool, RawAccount
from stages.venues import VenueRefusal
from stages.venues.solana.accounts.history import PoolHistory, SlotSnapshot
from stages.venues.solana.accounts.pools_file import PoolsFile
from stages.venues.solana.accounts.watched import WatchedPool, together
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.cluster.slot_time import SlotTime, read_pause_s, stale_s
from stages.venues.solana.rpc.account_methods import ACCOUNTS_MAX
from stages.venues.solana.rpc.answers import AccountInfo
from stages.venues.solana.rpc.errors import Unreachable
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import CacheOptions
from stages.venues.solana.transaction.programs import CLOCK

ROUNDS_MAX = 6
"""Pool, what it names, what those name: needs are complete after three or four rounds."""
LEAST_PAUSE_S = 0.005
"""Between two readings, however slow the node is."""
RAW_KEPT = 2_000
STALE: ReasonCode = "pool-data-stale"

_log = structlog.get_logger()


class Quotable(NamedTuple):
    """A pool that may be quoted from, at the clock of its slot."""

    family: Family
    pool: Pool
    clock: Clock


class AccountCache(PollingLoop):
    """The pools of a POOLS file, as of the newest slot."""

    def __init__(
        self, rpc: Rpc, families: Sequence[Family], pools: PoolsFile, options: CacheOptions
    ) -> None:
        self._rpc = rpc
        self._options = options
        by_mint = {token.mint: token for token in pools.tokens}
        self._pools = {
            address: WatchedPool(address, {mint: by_mint[mint] for mint in sorted(mints)}, families)
            for address, mints in pools.mints_of_pools().items()
        }
        self._raw: dict[str, tuple[AccountInfo, RawAccount]] = {}
        self.slot_time = SlotTime(options.slot_ms, rpc)
        self.history = PoolHistory()
        self.readings = 0
        """How often all accounts were read: several readings of a slot may differ."""
        self._advanced_s = -inf
        self._news = asyncio.Event()
        self._failing = False
        self._is_logged = False
        self._unread = ""
        """Why the last reading failed; empty where it did not."""

    # -- reading it ---------------------------------------------------------------------------

    def quotable(self, address: str) -> Quotable:
        """The pool. Raises VenueRefusal: unknown, not supported, or too old to be quoted from."""
        watched_pool = self._pools.get(address)
        if watched_pool is None:
            raise VenueRefusal("no-route", f"{address} is not in POOLS", retryable=True)
        age_s = time.monotonic() - min(watched_pool.read_s, self._advanced_s)
        if age_s > self._stale_s:
            raise VenueRefusal(STALE, f"{age_s:.1f} s old", retryable=True)
        if watched_pool.fault:
            raise VenueRefusal(
                watched_pool.fault, address, retryable=True
            )  # on another route, that is
        assert watched_pool.family is not None and watched_pool.pool is not None, "it has no fault"
        return Quotable(watched_pool.family, watched_pool.pool, watched_pool.clock)

    def warnings(self) -> Mapping[str, tuple[str, ...]]:
        """The permissions of mints over tokens, as codes of `events.token_warnings` by mint."""
        return {
            mint: codes for pool in self._pools.values() for mint, codes in pool.warnings.items()
        }

    def watched(self) -> Iterable[WatchedPool]:
        """All pools, whether they can be quoted from or not."""
        return self._pools.values()

    def fault(self) -> str:
        """Why nothing can be quoted now; empty where something can."""
        if not self.stale():
            return ""
        # Without the age: a fault that lasts stays the same text.
        known = "too old" if self.age_s() != float("inf") else "not read yet"
        why = self._unread or "the nodes do not answer, or the chain stands"
        return f"the pools' accounts are {known}: {why}"

    def stale(self) -> bool:
        """Whether no newer slot was seen for too long."""
        return self.age_s() > self._stale_s

    @property
    def _stale_s(self) -> float:
        return stale_s(self.slot_time, self._options.stale_ms, self._options.read_ms)

    def data_length(self, address: str) -> int | None:
        """Bytes of an account's data; None for an account that is not read here."""
        known = self._raw.get(address)
        return None if known is None else len(known[1].data)

    def addresses(self, mints: frozenset[str]) -> list[str]:
        """The pools that trade these two mints."""
        return [pool.address for pool in self._pools.values() if pool.mints == mints]

    def newest_slot(self) -> int | None:
        """The newest slot; None before the first reading, and while nodes name no newer one."""
        newest = self.history.newest
        return None if newest is None or self.stale() else newest.slot

    def slot(self) -> int:
        """The newest slot. Raises VenueRefusal before the first reading."""
        newest = self.history.newest
        if newest is None:
            raise VenueRefusal("venue-unavailable", "no slot is known yet", retryable=True)
        return newest.slot

    def age_s(self) -> float:
        """The time since a newer slot was last seen; infinite before the first one."""
        return time.monotonic() - self._advanced_s

    async def next_slot(self, after: int) -> int:
        """The newest slot, as soon as there is one later than `after`."""
        self.start()
        while (newest := self.history.newest) is None or newest.slot <= after:
            await self._news.wait()
        return newest.slot

    def reached(self, slot: int) -> bool:
        """Whether a slot that another process has seen is known here too."""
        newest = self.history.newest
        return newest is not None and newest.slot >= slot

    async def reach(self, slot: int) -> None:
        """Waits until it is. Raises VenueRefusal where that takes longer than data may be old."""
        if self.reached(slot):
            return
        try:
            async with asyncio.timeout(self._stale_s):
                await self.next_slot(slot - 1)
        except TimeoutError:
            raise VenueRefusal(
                "quotes-stale", f"slot {slot} is not seen yet", retryable=True
            ) from None

    # -- keeping it ---------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            advanced = await self._try_refresh()
            pause_s = read_pause_s(self.slot_time, self._options.read_ms, advanced=advanced)
            await asyncio.sleep(max(pause_s - (time.monotonic() - began_s), LEAST_PAUSE_S))

    async def _try_refresh(self) -> bool:
        try:
            advanced = await self.refresh()
        except VenueRefusal as error:
            if not self._failing and not NODE.lasts:
                _log.warning("pool_reads_failed", error=str(error))
                self._is_logged = True
            self._failing, self._unread = True, error.detail
            return True  # the client has waited enough; back to the rhythm
        if self._is_logged:
            _log.info("pool_reads_resumed", slot=self.slot())
        self._is_logged = False
        self._failing, self._unread = False, ""
        return advanced

    async def refresh(self) -> bool:
        """Reads all accounts once; whether there is a later slot. Raises VenueRefusal."""
        most = self._rpc.accounts_max - 1  # and the clock
        waiting: list[WatchedPool] = list(self._pools.values())
        slot = 0
        for _ in range(ROUNDS_MAX):
            if most < ACCOUNTS_MAX - 1:
                now_s = time.monotonic()
                waiting = [pool for pool in waiting if not pool.exceeds(most, now_s)]
            groups = list(together(waiting, most))
            read = await asyncio.gather(*(self._read(group) for group in groups or [[]]))
            slot = min(slot_read for slot_read, _ in read)
            waiting = [pool for _, incomplete in read for pool in incomplete]
            if not waiting:
                break
        return self._publish(slot)

    async def _read(self, group: Sequence[WatchedPool]) -> tuple[int, list[WatchedPool]]:
        """The slot of the answer, and the pools of the group that need more accounts."""
        names = list(dict.fromkeys(a for pool in group for a in pool.addresses))[: ACCOUNTS_MAX - 1]
        addresses = [*names, CLOCK]
        answer = await self._rpc.get_accounts_at_once(
            addresses, commitment=self._options.commitment, min_context_slot=self._least_slot()
        )
        infos = {a: info for a, info in zip(addresses, answer.value, strict=True) if info}
        accounts = {address: self._account(address, info) for address, info in infos.items()}
        if CLOCK not in accounts:
            raise Unreachable("the answer has no clock")
        clock = _clock(answer.slot, accounts[CLOCK].data)
        now_s = time.monotonic()
        return answer.slot, [pool for pool in group if not pool.take(accounts, clock, now_s)]

    def _least_slot(self) -> int | None:
        """A node that is behind the others must not take the cache back, unless it is the last."""
        newest = self.history.newest
        ahead = newest is not None and not self.stale()
        return newest.slot if newest is not None and ahead else None

    def _account(self, address: str, info: AccountInfo) -> RawAccount:
        """The account; the very same object as long as its bytes are the same."""
        before = self._raw.get(address)
        if before is not None and before[0] == info:
            return before[1]
        try:
            account = RawAccount(info.owner, info.bytes())
        except ValueError:
            raise Unreachable(f"{address}: its data is not base64") from None
        if len(self._raw) > RAW_KEPT:  # of tick and bin arrays long left behind
            self._raw.clear()
        self._raw[address] = info, account
        return account

    def _publish(self, slot: int) -> bool:
        newest = self.history.newest
        pools = {p.address: s for p in self._pools.values() if (s := p.seen) is not None}
        self.history.record(SlotSnapshot(slot, server_now_us(), pools))
        self.readings += 1
        advanced = newest is None or slot > newest.slot
        self.slot_time.see(slot)
        stands = not advanced and self.slot_time.follows_a_clock
        if not stands or (newest is not None and slot < newest.slot):
            self._advanced_s = time.monotonic()
        if advanced:
            self._news.set()
            self._news = asyncio.Event()
        return advanced


def _clock(slot: int, sysvar: bytes) -> Clock:
    """The Clock sysvar: slot, start of the epoch, epoch, epoch of the schedule, Unix time."""
    return Clock(
        slot,
        int.from_bytes(sysvar[32:40], "little"),
        int.from_bytes(sysvar[16:24], "little"),
    )
