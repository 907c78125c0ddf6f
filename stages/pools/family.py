"""A pool family as a table of functions: what every option under `raydium/` and `meteora/` is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stages.pools.contract import (
    Accounts,
    ErrorCode,
    Instruction,
    Parsed,
    Pool,
    RawAccount,
    SwapAccounts,
    SwapTerms,
    Unsupported,
)
from stages.pools.mints import read_mint
from stages.pools.transfer_fees import FeeMintPool, with_fees, without_fees

P = TypeVar("P", bound=Pool)

CLUSTERS = frozenset({"mainnet", "devnet"})
"""Where the programs have addresses; the local chain has those of mainnet."""


@dataclass(frozen=True, kw_only=True)
class PoolFamily(Generic[P]):
    """See `stages.pools.contract.Family`; `pool` is the class of its pools."""

    name: str
    dex: str
    programs: Mapping[str, str]
    errors: Mapping[str, ErrorCode]
    too_little_out: str
    too_much_in: str
    cu_limit: int
    pool: type[P]
    is_pool_data: Callable[[bytes], bool]
    needs: Callable[[str, Accounts], Sequence[str]]
    decode_pool: Callable[[str, Accounts], P]
    write_pool: Callable[[P, MutableMapping[str, bytearray]], None]
    write_swap: Callable[[P, bool, SwapTerms, SwapAccounts], Instruction]
    parse: Callable[[Instruction], Parsed | None]
    cu_step: int = 0
    transfer_fees: bool = True
    """Whether the program trades mints that charge transfer fees."""

    def __post_init__(self) -> None:
        assert self.name.startswith(f"{self.dex}-"), f"{self.name} is not named after {self.dex}"
        assert self.programs.keys() == CLUSTERS, f"{self.name}: a program for each of {CLUSTERS}"
        thresholds = {self.too_little_out, self.too_much_in}
        assert thresholds <= self.errors.keys(), f"{self.name}: {thresholds} are not in its errors"

    def is_pool(self, account: RawAccount) -> bool:
        """See `Family.is_pool`."""
        return account.owner in self.programs.values() and self.is_pool_data(account.data)

    def decode(self, address: str, accounts: Accounts) -> Pool:
        """See `Family.decode`. With the transfer fees of its mints, as far as they were read."""
        pool = self.decode_pool(address, accounts)
        mints = [mint for mint in (pool.mint_a, pool.mint_b) if mint in accounts]
        outside = with_fees(pool, {mint: read_mint(mint, accounts[mint]).fees for mint in mints})
        if outside is not pool and not self.transfer_fees:
            raise Unsupported("transfer-fee-mint", f"{self.name} does not trade such mints")
        return outside

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        """See `Family.write`."""
        self.write_pool(self._ours(after), accounts)

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        """See `Family.instruction`. The accounts are those of what the pool itself moves."""
        ours = self._ours(pool)
        outer = self.write_swap(ours, a_to_b, terms, use)
        if isinstance(pool, FeeMintPool) and terms.exact_out:
            inner = pool.inner_terms(a_to_b, terms)
            return outer._replace(accounts=self.write_swap(ours, a_to_b, inner, use).accounts)
        return outer

    def _ours(self, pool: Pool) -> P:
        pool = without_fees(pool)
        assert isinstance(pool, self.pool), f"a {type(pool).__name__} is none of {self.name}"
        return pool
