"""A pool family as a table of functions: what every option under `raydium/` and `meteora/` is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stages.venues.pool import (
    Accounts,
    ErrorCode,
    Instruction,
    Parsed,
    Pool,
    RawAccount,
    SwapAccounts,
    SwapTerms,
)

P = TypeVar("P", bound=Pool)


@dataclass(frozen=True, kw_only=True)
class PoolFamily(Generic[P]):
    """See `stages.venues.pool.Family`; `pool` is the class of its pools."""

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
    decode: Callable[[str, Accounts], P]
    write_pool: Callable[[P, MutableMapping[str, bytearray]], None]
    write_swap: Callable[[P, bool, SwapTerms, SwapAccounts], Instruction]
    parse: Callable[[Instruction], Parsed | None]

    def is_pool(self, account: RawAccount) -> bool:
        """See `Family.is_pool`."""
        return account.owner in self.programs.values() and self.is_pool_data(account.data)

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        """See `Family.write`."""
        self.write_pool(self._ours(after), accounts)

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        """See `Family.instruction`."""
        return self.write_swap(self._ours(pool), a_to_b, terms, use)

    def _ours(self, pool: Pool) -> P:
        assert isinstance(pool, self.pool), f"a {type(pool).__name__} is none of {self.name}"
        return pool
