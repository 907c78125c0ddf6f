"""The accounts of programs and features. They are created when a chain is opened, never stored.

Their lengths are about those of mainnet, since the data that a transaction loads is limited
(SIMD-0186). The programs themselves are Python: their bytes here are zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from engine.localnet.genesis.market import POOLS, PROGRAMS
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import (
    ATA,
    BPF_LOADER,
    BPF_LOADER_2,
    COMPUTE_BUDGET,
    FEATURE_OWNER,
    MEMO,
    MEMO_V1,
    NATIVE_LOADER,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    TX_V1,
    derived,
    raw,
    rent_exempt,
)
from engine.localnet.state.loaded import PROGRAM_TAG, PROGRAMDATA_TAG

BUILTIN = {SYSTEM: b"system_program", COMPUTE_BUDGET: b"compute_budget_program"}
FIXED = {TOKEN: 134_080, ATA: 105_032, MEMO: 74_800, MEMO_V1: 17_280}
"""Bytes of programs that cannot be upgraded: their accounts hold the code."""
TOKEN_2022_BYTES = 1_382_016
FAMILY_BYTES = {
    "raydium-cpmm": 692_269,
    "raydium-amm-v4": 1_449_397,
    "raydium-clmm": 2_031_253,
    "meteora-dlmm": 1_957_805,
    "meteora-damm-v2": 1_421_773,
}
"""Bytes of the programdata accounts of programs that can be upgraded."""
assert FAMILY_BYTES.keys() == PROGRAMS.keys()


def program_accounts(families: Iterable[str]) -> dict[str, Account]:
    """The accounts of all programs, with their programdata, without those of other families."""
    account = {
        program: Account(1, NATIVE_LOADER, name, executable=True)
        for program, name in BUILTIN.items()
    }
    for program, size in FIXED.items():
        account[program] = Account(rent_exempt(size), BPF_LOADER_2, _zeros(size), executable=True)
    account |= _upgradeable(TOKEN_2022, TOKEN_2022_BYTES)
    names = set(families)
    for plan in POOLS:
        if plan.family in names and plan.program not in account:
            account |= _upgradeable(plan.program, FAMILY_BYTES[plan.family])
    return account


def feature_accounts(*, transaction_v1: bool) -> dict[str, Account]:
    """The active features, all since slot 0: one byte that there is a slot, then the slot."""
    if not transaction_v1:
        return {}
    data = b"\x01" + bytes(8)
    return {TX_V1: Account(rent_exempt(len(data)), FEATURE_OWNER, data)}


def _upgradeable(program: str, size: int) -> dict[str, Account]:
    programdata = derived(BPF_LOADER, raw(program))
    head = PROGRAM_TAG + raw(programdata)
    code = PROGRAMDATA_TAG + _zeros(size - len(PROGRAMDATA_TAG))
    return {
        program: Account(rent_exempt(len(head)), BPF_LOADER, head, executable=True),
        programdata: Account(rent_exempt(size), BPF_LOADER, code),
    }


@lru_cache
def _zeros(size: int) -> bytes:
    """Zero bytes, shared by all chains of a process."""
    return bytes(size)
