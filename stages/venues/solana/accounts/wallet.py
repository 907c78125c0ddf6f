"""The accounts of the wallet: which exist, what they hold, and what open transactions may take."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import NamedTuple

import structlog
from solders.pubkey import Pubkey

from stages.venues import VenueRefusal
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.cluster.loaded import ABSENT_BYTES
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.answers import AccountInfo
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.programs import WSOL, associated_account
from stages.venues.solana.transaction.signing import Plan

ASKED_EVERY_S = 10.0
USED_EVERY_S = 2.0
"""While transactions are built."""
USED_S = 30.0
KEPT_S = 30.0
"""An older reading counts as unknown. The builder asks again before it relies on it."""
UNLANDED_S = 5.0
"""So long before a reading, what was signed may not have been taken from what was read."""
RESERVE_LAMPORTS = 10_000_000
"""For the rent of the accounts that a transaction opens, and its base fee."""
_AMOUNT = slice(64, 72)
"""Of a token account's data: u64, little-endian."""

_log = structlog.get_logger()


class _Account(NamedTuple):
    amount: int
    bytes: int


class WalletAccounts(PollingLoop):
    """The wallet's SOL and its associated account of each token, read in the background."""

    def __init__(
        self,
        rpc: Rpc,
        owner: Pubkey,
        tokens: Sequence[TokenEntry],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rpc = rpc
        self._owner = str(owner)
        self._addresses = {
            token.mint: str(associated_account(owner, token.mint, token.program_id))
            for token in tokens
        }
        self._clock_s = clock_s
        self._lamports = 0
        self._accounts: dict[str, _Account | None] = {}
        """By address; None: it does not exist."""
        self._read_s = -inf
        self._used_s = -inf
        self._used = asyncio.Event()
        self._claims: deque[tuple[float, Mapping[str, int]]] = deque()
        self._claimed: Counter[str] = Counter()
        """The sum of the claims: it is asked for with each transaction."""

    @property
    def _known(self) -> bool:
        return self._clock_s() - self._read_s < KEPT_S

    def exists(self, mint: str) -> bool | None:
        """Whether the wallet has its account of a token; None: not known."""
        address = self._addresses.get(mint, "")
        if not self._known or address not in self._accounts:
            return None
        return self._accounts[address] is not None

    def missing(self, plan: Plan) -> int:
        """How many of the accounts that a transaction pays into do not exist, as far as is known.
        Native SOL is paid into none.
        """
        mints = {leg.mint_out for leg in plan.legs} - {WSOL}
        return sum(self.exists(mint) is False for mint in mints)

    def data_length(self, address: str) -> int | None:
        """Bytes that one of these accounts has, or may have once it exists; None for another."""
        if address not in self._accounts:
            return None
        account = self._accounts[address]
        return ABSENT_BYTES if account is None else account.bytes

    def covers(self, amounts: Mapping[str, int], priority_lamports: int) -> bool:
        """Whether the wallet is known to hold these amounts by mint, and lamports for the fees,
        after all that was signed a moment ago.
        """
        self._used_s = self._clock_s()
        self._used.set()
        if not self._known:
            return False
        self._forget_claims()
        claimed = self._claimed
        fees = priority_lamports + RESERVE_LAMPORTS
        if self._lamports < fees + claimed[WSOL] + amounts.get(WSOL, 0):
            return False
        return all(
            self._amount(mint) >= claimed[mint] + amount
            for mint, amount in amounts.items()
            if mint != WSOL
        )

    def claim(self, amounts: Mapping[str, int], lamports: int) -> None:
        """A transaction was signed that takes these amounts, and lamports for fees and rent."""
        self._forget_claims()
        claim = {**amounts, WSOL: amounts.get(WSOL, 0) + lamports}
        self._claims.append((self._clock_s(), claim))
        self._claimed.update(claim)

    def _forget_claims(self) -> None:
        """Those that the newest reading shows, and those that no reading in use is older than."""
        least_s = max(self._read_s, self._clock_s() - KEPT_S) - UNLANDED_S
        while self._claims and self._claims[0][0] < least_s:
            self._claimed.subtract(self._claims.popleft()[1])

    def _amount(self, mint: str) -> int:
        account = self._accounts.get(self._addresses.get(mint, ""))
        return account.amount if account is not None else 0

    async def ask(self) -> None:
        """Reads once. Raises VenueRefusal, and changes nothing then."""
        began_s = self._clock_s()
        addresses = [self._owner, *self._addresses.values()]
        answers = await self._rpc.get_multiple_accounts(addresses, commitment="processed")
        infos = [info for answer in answers for info in answer.value]
        wallet, *accounts = infos
        self._lamports = wallet.lamports if wallet is not None else 0
        self._accounts = dict(zip(addresses[1:], map(_account, accounts), strict=True))
        self._read_s = began_s

    async def _run(self) -> None:
        while True:
            try:
                await self.ask()
            except VenueRefusal as error:
                _log.info("wallet_accounts_unread", error=str(error))
            if self._clock_s() - self._used_s < USED_S:
                await asyncio.sleep(USED_EVERY_S)
                continue
            self._used.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKED_EVERY_S):
                    await self._used.wait()


def _account(info: AccountInfo | None) -> _Account | None:
    if info is None:
        return None
    try:
        data = info.bytes()
    except ValueError:
        return _Account(0, ABSENT_BYTES)
    return _Account(int.from_bytes(data[_AMOUNT], "little"), len(data))
