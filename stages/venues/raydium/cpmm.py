"""Raydium CPMM as a pool family."""

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
from stages.venues.raydium import cpmm_layout, token_errors
from stages.venues.raydium.cpmm_instruction import parse_swap, write_swap
from stages.venues.raydium.cpmm_pool import CpmmPool

# Anchor counts a program's own errors from 6000; those of its `require` macros are from 2500 on.
_ERRORS: Mapping[str, ErrorCode] = {
    **token_errors.INSUFFICIENT_FUNDS,
    **token_errors.OVERFLOW,
    **token_errors.FROZEN,
    "RequireGtViolated": ErrorCode(2505, "amount-too-small"),
    "RequireGteViolated": ErrorCode(2506, "insufficient-liquidity"),
    "NotApproved": ErrorCode(6000, "pool-disabled"),
    "InvalidOwner": ErrorCode(6001, "invalid-accounts"),
    "EmptySupply": ErrorCode(6002, "insufficient-liquidity"),
    "InvalidInput": ErrorCode(6003, "invalid-accounts"),
    "ExceededSlippage": ErrorCode(6005, "slippage-exceeded", retryable=True),
    "ZeroTradingTokens": ErrorCode(6006, "amount-too-small"),
    "NotSupportMint": ErrorCode(6007, "unsupported-mint"),
    "InvalidVault": ErrorCode(6008, "invalid-accounts"),
    "TransferFeeCalculateNotMatch": ErrorCode(6010, "unsupported-mint"),
    "MathOverflow": ErrorCode(6011, "insufficient-liquidity"),
    "InsufficientVault": ErrorCode(6012, "insufficient-liquidity"),
    "InvalidFeeModel": ErrorCode(6013, "unsupported-pool"),
    "panic": ErrorCode(-1, "insufficient-liquidity"),
}


class _Cpmm:
    name = "raydium-cpmm"
    dex = "raydium"
    programs: Mapping[str, str] = {
        "mainnet": "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C",
        "devnet": "DRaycpLY18LhpbydsBWbVJtxpNv9oXPgjRSfpF2bWpYb",
    }
    errors = _ERRORS
    too_little_out = "ExceededSlippage"
    too_much_in = "ExceededSlippage"
    cu_limit = 50_000

    def is_pool(self, account: RawAccount) -> bool:
        return account.owner in self.programs.values() and cpmm_layout.is_pool_data(account.data)

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        return cpmm_layout.needs(address, accounts)

    def decode(self, address: str, accounts: Accounts) -> CpmmPool:
        return cpmm_layout.decode(address, accounts)

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        assert isinstance(after, CpmmPool)
        cpmm_layout.write(after, accounts)

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        assert isinstance(pool, CpmmPool)
        return write_swap(pool, a_to_b, terms, use)

    def parse(self, instruction: Instruction) -> Parsed | None:
        return parse_swap(instruction)


FAMILY: Family = _Cpmm()
