"""Instructions around a swap: token accounts, and native SOL in and out of wSOL. Pure."""

from __future__ import annotations

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import (
    CreateAccountWithSeedParams,
    TransferParams,
    create_account_with_seed,
    transfer,
)

from stages.venues.solana.transaction.programs import ASSOCIATED_TOKEN, SYSTEM, TOKEN, WSOL, key

TOKEN_ACCOUNT_BYTES = 165
ACCOUNT_OVERHEAD_BYTES = 128
RENT_PER_BYTE_MOST = 6_960
"""Lamports a byte before SIMD-0437, which only lowers it."""

_CREATE_IDEMPOTENT = bytes([1])
_CLOSE_ACCOUNT = bytes([9])
_SYNC_NATIVE = bytes([17])
_INITIALIZE_ACCOUNT_3 = 18


def rent_at_most(size: int) -> int:
    """The most that makes an account of `size` bytes rent-exempt; its closing returns it."""
    return (ACCOUNT_OVERHEAD_BYTES + size) * RENT_PER_BYTE_MOST


def create_account(owner: Pubkey, account: Pubkey, mint: str, program: str) -> Instruction:
    """The creation of the owner's associated account of the token, unless it exists."""
    return Instruction(
        key(ASSOCIATED_TOKEN),
        _CREATE_IDEMPOTENT,
        [
            AccountMeta(owner, True, True),
            AccountMeta(account, False, True),
            AccountMeta(owner, False, False),
            AccountMeta(key(mint), False, False),
            AccountMeta(key(SYSTEM), False, False),
            AccountMeta(key(program), False, False),
        ],
    )


def wrap_associated(owner: Pubkey, account: Pubkey, lamports: int) -> list[Instruction]:
    """Wraps into the associated account."""
    create = create_account(owner, account, WSOL, TOKEN)
    if not lamports:
        return [create]
    pay = TransferParams(from_pubkey=owner, to_pubkey=account, lamports=lamports)
    sync = Instruction(key(TOKEN), _SYNC_NATIVE, [AccountMeta(account, False, True)])
    return [create, transfer(pay), sync]


def temporary_account(owner: Pubkey, seed: str) -> Pubkey:
    """An address that the owner alone can make an account of."""
    return Pubkey.create_with_seed(owner, seed, key(TOKEN))


def wrap_temporary(owner: Pubkey, seed: str, lamports: int, rent: int) -> list[Instruction]:
    """Wraps into a new account; initializing makes tokens of all lamports beyond the rent."""
    account = temporary_account(owner, seed)
    create = create_account_with_seed(
        CreateAccountWithSeedParams(
            from_pubkey=owner,
            to_pubkey=account,
            base=owner,
            seed=seed,
            lamports=rent + lamports,
            space=TOKEN_ACCOUNT_BYTES,
            owner=key(TOKEN),
        )
    )
    initialize = Instruction(
        key(TOKEN),
        bytes([_INITIALIZE_ACCOUNT_3, *bytes(owner)]),
        [AccountMeta(account, False, True), AccountMeta(key(WSOL), False, False)],
    )
    return [create, initialize]


def unwrap(owner: Pubkey, account: Pubkey) -> Instruction:
    """Closes the account: tokens and rent become lamports of the owner."""
    return Instruction(
        key(TOKEN),
        _CLOSE_ACCOUNT,
        [
            AccountMeta(account, False, True),
            AccountMeta(owner, False, True),
            AccountMeta(owner, True, False),
        ],
    )
