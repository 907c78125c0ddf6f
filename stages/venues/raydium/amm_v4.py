"""Raydium AMM v4 as a pool family."""

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
from stages.venues.raydium import amm_v4_layout, token_errors
from stages.venues.raydium.amm_v4_instruction import parse_swap, write_swap
from stages.venues.raydium.amm_v4_pool import AmmV4Pool

# The program counts its errors from 0; their names are what it writes into the log.
_ERRORS: Mapping[str, ErrorCode] = {
    **token_errors.OVERFLOW,
    **token_errors.FROZEN,
    "Error: InvalidStatus": ErrorCode(22, "pool-disabled"),
    "Error: InvalidInput": ErrorCode(29, "amount-too-small"),
    "Error: exceeds desired slippage limit": ErrorCode(30, "slippage-exceeded", retryable=True),
    "Error: Checked_Sub Overflow": ErrorCode(32, "insufficient-liquidity"),
    "Error: insufficient funds": ErrorCode(40, "insufficient-funds"),
    "Error: Conversion to or from u64 failed.": ErrorCode(41, "insufficient-liquidity"),
    "Error: User token input does not match amm": ErrorCode(42, "invalid-accounts"),
    "panic": ErrorCode(-1, "insufficient-liquidity"),
}


class _AmmV4:
    name = "raydium-amm-v4"
    dex = "raydium"
    programs: Mapping[str, str] = {
        "mainnet": "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8",
        "devnet": "DRaya7Kj3aMWQSy19kSjvmuwq9docCHofyP9kanQGaav",
    }
    errors = _ERRORS
    too_little_out = "Error: exceeds desired slippage limit"
    too_much_in = "Error: exceeds desired slippage limit"
    cu_limit = 30_000

    def is_pool(self, account: RawAccount) -> bool:
        return account.owner in self.programs.values() and len(account.data) == amm_v4_layout.SIZE

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        return amm_v4_layout.needs(address, accounts)

    def decode(self, address: str, accounts: Accounts) -> AmmV4Pool:
        return amm_v4_layout.decode(address, accounts)

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        assert isinstance(after, AmmV4Pool)
        amm_v4_layout.write(after, accounts)

    def instruction(
        self,
        pool: Pool,
        a_to_b: bool,  # noqa: ARG002 - the program sees it by the mint that pays
        terms: SwapTerms,
        use: SwapAccounts,
    ) -> Instruction:
        assert isinstance(pool, AmmV4Pool)
        return write_swap(pool, terms, use)

    def parse(self, instruction: Instruction) -> Parsed | None:
        return parse_swap(instruction)


FAMILY: Family = _AmmV4()
