"""Raydium CLMM: concentrated liquidity, quoted as the program swaps. See the files beside."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

from stages.venues.pool import (
    Accounts,
    ErrorCode,
    Family,
    Instruction,
    Parsed,
    Pool,
    RawAccount,
    SwapAccounts,
    SwapTerms,
)
from stages.venues.raydium import clmm_accounts, clmm_instruction
from stages.venues.raydium.clmm_addresses import PROGRAMS
from stages.venues.raydium.clmm_errors import ERRORS, TOO_LITTLE_OUT, TOO_MUCH_IN
from stages.venues.raydium.clmm_layout import POOL_DISCRIMINATOR, POOL_SIZE
from stages.venues.raydium.clmm_pool import ClmmPool


class _Clmm:
    name = "raydium-clmm"
    dex = "raydium"
    programs: Mapping[str, str] = PROGRAMS
    errors: Mapping[str, ErrorCode] = ERRORS
    too_little_out = TOO_LITTLE_OUT
    too_much_in = TOO_MUCH_IN
    cu_limit = 200_000

    def is_pool(self, account: RawAccount) -> bool:
        return (
            account.owner in PROGRAMS.values()
            and len(account.data) == POOL_SIZE
            and account.data.startswith(POOL_DISCRIMINATOR)
        )

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        return clmm_accounts.needs(address, accounts)

    def decode(self, address: str, accounts: Accounts) -> ClmmPool:
        return clmm_accounts.decode(address, accounts)

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        clmm_accounts.write(_ours(after), accounts)

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        return clmm_instruction.instruction(_ours(pool), a_to_b, terms, use)

    def parse(self, instruction: Instruction) -> Parsed | None:
        return clmm_instruction.parse(instruction)


def _ours(pool: Pool) -> ClmmPool:
    assert isinstance(pool, ClmmPool), f"a {type(pool).__name__} is not a pool of the CLMM"
    return pool


FAMILY: Family = _Clmm()
