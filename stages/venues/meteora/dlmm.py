"""Meteora DLMM as a pool family."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

from stages.venues.meteora import dlmm_accounts, dlmm_errors, dlmm_layout
from stages.venues.meteora.dlmm_addresses import PROGRAMS, array_address
from stages.venues.meteora.dlmm_instruction import parse_swap, write_swap
from stages.venues.meteora.dlmm_pool import DlmmPool
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


class _Dlmm:
    name = "meteora-dlmm"
    dex = "meteora"
    programs: Mapping[str, str] = PROGRAMS
    errors: Mapping[str, ErrorCode] = dlmm_errors.ERRORS
    too_little_out = dlmm_errors.TOO_LITTLE_OUT
    too_much_in = dlmm_errors.TOO_MUCH_IN
    # 41,000 and some 6,300 a bin: fifty bins.
    cu_limit = 400_000

    def is_pool(self, account: RawAccount) -> bool:
        return account.owner in self.programs.values() and dlmm_layout.is_pair(account.data)

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        return dlmm_accounts.needs(address, accounts)

    def decode(self, address: str, accounts: Accounts) -> DlmmPool:
        return dlmm_accounts.decode(address, accounts)

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        assert isinstance(after, DlmmPool)
        pair, fees = after.pair, (after.protocol_fee_x, after.protocol_fee_y)
        dlmm_layout.write_pair(accounts[pair.address], after.active_id, after.volatility, *fees)
        for index, bins in after.arrays.items():
            array = accounts.get(array_address(pair.program, pair.address, index))
            if array is not None:
                dlmm_layout.write_bins(array, bins)

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        assert isinstance(pool, DlmmPool)
        return write_swap(pool, a_to_b, terms, use)

    def parse(self, instruction: Instruction) -> Parsed | None:
        return parse_swap(instruction)


FAMILY: Family = _Dlmm()
