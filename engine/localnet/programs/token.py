"""The token programs, classic and Token-2022, as far as trading needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.localnet.programs import token_accounts
from engine.localnet.programs.context import Context
from engine.localnet.state import accounts
from engine.localnet.state.accounts import (
    U64_MAX,
    Account,
    is_mint,
    is_token_account,
    with_amount,
)
from engine.localnet.state.addresses import TOKEN, TOKEN_2022, raw, text
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.token_extensions import entries, with_withheld
from engine.localnet.state.transaction import Step
from engine.localnet.state.view import View
from stages.pools.contract import RawAccount
from stages.pools.mints import PAUSED as TOKEN_PAUSED
from stages.pools.mints import read_mint

INSUFFICIENT_FUNDS, INVALID_MINT, MINT_MISMATCH, OWNER_MISMATCH = 1, 2, 3, 4
NON_NATIVE_HAS_BALANCE, INVALID_INSTRUCTION = 11, 12
OVERFLOW, FROZEN, DECIMALS_MISMATCH, NON_NATIVE = 14, 17, 18, 19
MINT_REQUIRED, NON_TRANSFERABLE, PAUSED = 31, 37, 67
_REFUSALS = {TOKEN_PAUSED: PAUSED, "non-transferable-mint": NON_TRANSFERABLE}
"""The error of a transfer of a refused mint. The local chain runs no hooks."""


UNITS_2022 = 1_500
"""Compute units that an instruction of Token-2022 takes more than a classic one, at most."""


def run(context: Context, step: Step) -> None:
    """Executes one instruction of a token program."""
    op = _OPS.get(step.data[0]) if step.data else None
    if op is None:
        context.spend(194)
        raise InstructionFailed(INVALID_INSTRUCTION, "Error: Invalid instruction")
    context.spend(op.units if step.program == TOKEN else op.units + UNITS_2022)
    keys = context.keys(step, op.accounts)
    if len(step.data) < op.size:
        raise InstructionFailed(INVALID_INSTRUCTION, "Error: Invalid instruction")
    op.run(context, step, keys)


def held(context_view: View, address: str) -> Account:
    """An initialised token account. Raises InstructionFailed."""
    account = context_view.get(address)
    if account is None or account.owner not in (TOKEN, TOKEN_2022):
        raise InstructionFailed("IncorrectProgramId" if account else "InvalidAccountData")
    if not is_token_account(account):
        raise InstructionFailed("UninitializedAccount")
    return account


def move(
    view: View, source: str, target: str, amount: int, *, epoch: int, known: bool = False
) -> None:
    """Moves tokens, and lamports with them where they are wrapped SOL. Raises InstructionFailed.

    A mint with a transfer fee withholds that of this epoch in the target. `known`: the program of
    the pool does it, so that decoded pools stay valid.
    """
    payer, paid = held(view, source), held(view, target)
    if payer.owner != paid.owner:
        raise InstructionFailed("IncorrectProgramId")
    if payer.data[:32] != paid.data[:32]:
        raise InstructionFailed(MINT_MISMATCH, "Error: Account not associated with this Mint")
    if payer.data[108] == 2 or paid.data[108] == 2:
        raise InstructionFailed(FROZEN, "Error: Account is frozen")
    before = int.from_bytes(payer.data[64:72], "little")
    if before < amount:
        raise InstructionFailed(INSUFFICIENT_FUNDS, "Error: insufficient funds")
    fee = _transfer_fee(view, payer, amount, epoch)
    if source == target:
        return
    there = int.from_bytes(paid.data[64:72], "little")
    if there + amount - fee > U64_MAX:
        raise InstructionFailed(OVERFLOW, "Error: Operation overflowed")
    lamports = amount if payer.data[109] else 0
    put = view.keep if known else view.put
    put(source, with_amount(payer, before - amount, -lamports))
    receiving = with_withheld(paid, fee) if fee else paid
    if receiving is None:
        raise InstructionFailed("InvalidAccountData")
    put(target, with_amount(receiving, there + amount - fee, lamports))


def _transfer_fee(view: View, payer: Account, amount: int, epoch: int) -> int:
    """The fee that the mint withholds. Raises InstructionFailed where it allows no transfer."""
    if payer.owner != TOKEN_2022:
        return 0
    address = text(payer.data[:32])
    minted = view.get(address)
    if minted is None:
        raise InstructionFailed(INVALID_MINT, "Error: Invalid Mint")
    mint = read_mint(address, RawAccount(minted.owner, minted.data))
    if mint.refusal:
        raise InstructionFailed(_REFUSALS.get(mint.refusal, "InvalidAccountData"))
    return mint.fees.at(epoch).fee(amount)


def may_spend(account: Account, owner: str, amount: int) -> bool:
    """Whether this owner or delegate may move the amount."""
    if account.data[32:64] == raw(owner):
        return True
    delegate = account.data[72] and account.data[76:108] == raw(owner)
    return bool(delegate) and int.from_bytes(account.data[121:129], "little") >= amount


def _authorised(context: Context, step: Step, account: Account, owner_at: int, owner: str) -> None:
    if account.data[32:64] != raw(owner):
        raise InstructionFailed(OWNER_MISMATCH, "Error: owner does not match")
    if not context.signs(step, owner_at):
        raise InstructionFailed("MissingRequiredSignature")


def _transfer(context: Context, step: Step, keys: list[str]) -> None:
    source, target, owner = keys[:3]
    # The program looks at the balance before the owner.
    amount = _amount(step)
    account = held(context.view, source)
    if accounts.amount_of(account) < amount:
        raise InstructionFailed(INSUFFICIENT_FUNDS, "Error: insufficient funds")
    _authorised(context, step, account, 2, owner)
    # The extensions of the account tell the program that it needs the mint.
    if any(entry.number in _NEED_MINT for entry in entries(account)):
        raise InstructionFailed(MINT_REQUIRED, "Error: Mint required for this account")
    move(context.view, source, target, amount, epoch=context.clock.epoch)


def _transfer_checked(context: Context, step: Step, keys: list[str]) -> None:
    source, mint, target, owner = keys[:4]
    account = held(context.view, source)
    if accounts.amount_of(account) < _amount(step):
        raise InstructionFailed(INSUFFICIENT_FUNDS, "Error: insufficient funds")
    if account.data[:32] != raw(mint):
        raise InstructionFailed(MINT_MISMATCH, "Error: Account not associated with this Mint")
    if accounts.decimals_of(_mint(context, mint)) != step.data[9]:
        raise InstructionFailed(DECIMALS_MISMATCH, "Error: decimals different from the Mint")
    _authorised(context, step, account, 3, owner)
    move(context.view, source, target, _amount(step), epoch=context.clock.epoch)


_NEED_MINT = frozenset({2, 13, 15, 27})
"""Extensions of an account whose transfers need the mint."""


def _sync_native(context: Context, _step: Step, keys: list[str]) -> None:
    account = held(context.view, keys[0])
    token = accounts.read_token(account.data)
    if token.native is None:
        raise InstructionFailed(NON_NATIVE, "Error: Non-native instruction not supported")
    amount = account.lamports - token.native
    if amount < token.amount:
        raise InstructionFailed(13, "Error: State is invalid for requested operation")
    context.view.put(keys[0], with_amount(account, amount))


def _close(context: Context, step: Step, keys: list[str]) -> None:
    address, target, owner = keys[:3]
    account = held(context.view, address)
    if address == target:
        raise InstructionFailed("InvalidAccountData")
    if not account.data[109] and accounts.amount_of(account):
        raise InstructionFailed(
            NON_NATIVE_HAS_BALANCE, "Error: Non-native account can only be closed if empty"
        )
    _authorised(context, step, account, 2, owner)
    paid = context.view.get(target) or Account(0)
    context.view.put(target, paid._replace(lamports=paid.lamports + account.lamports))
    context.view.put(address, Account(0))


def _mint_to(context: Context, step: Step, keys: list[str]) -> None:
    mint, target, authority = keys[:3]
    minted, account = _mint(context, mint), held(context.view, target)
    if account.data[:32] != raw(mint):
        raise InstructionFailed(MINT_MISMATCH, "Error: Account not associated with this Mint")
    if not minted.data[0]:
        raise InstructionFailed(5, "Error: the total supply of this token is fixed")
    if minted.data[4:36] != raw(authority):
        raise InstructionFailed(OWNER_MISMATCH, "Error: owner does not match")
    if not context.signs(step, 2):
        raise InstructionFailed("MissingRequiredSignature")
    supply = int.from_bytes(minted.data[36:44], "little") + _amount(step)
    if supply > U64_MAX:
        raise InstructionFailed(OVERFLOW, "Error: Operation overflowed")
    data = minted.data[:36] + supply.to_bytes(8, "little") + minted.data[44:]
    context.view.put(mint, minted._replace(data=data))
    context.view.put(target, with_amount(account, accounts.amount_of(account) + _amount(step)))


def _nothing(_context: Context, _step: Step, _keys: list[str]) -> None:
    """InitializeImmutableOwner, GetAccountDataSize: no effect on classic token accounts."""


def _mint(context: Context, mint: str) -> Account:
    account = context.view.get(mint)
    if account is None or not is_mint(account):
        raise InstructionFailed(INVALID_MINT, "Error: Invalid Mint")
    return account


def _amount(step: Step) -> int:
    return int.from_bytes(step.data[1:9], "little")


class _Op(NamedTuple):
    run: Callable[[Context, Step, list[str]], None]
    accounts: int
    size: int
    units: int


_OPS: Mapping[int, _Op] = {
    0: _Op(token_accounts.initialize_mint, 1, 35, 250),
    1: _Op(token_accounts.initialize_account, 4, 1, 235),
    3: _Op(_transfer, 3, 9, 76),
    7: _Op(_mint_to, 3, 9, 119),
    9: _Op(_close, 3, 1, 118),
    12: _Op(_transfer_checked, 4, 10, 105),
    16: _Op(token_accounts.initialize_account, 2, 33, 235),
    17: _Op(_sync_native, 1, 1, 201),
    18: _Op(token_accounts.initialize_account, 2, 33, 235),
    20: _Op(token_accounts.initialize_mint, 1, 35, 250),
    21: _Op(_nothing, 1, 1, 183),
    22: _Op(_nothing, 1, 1, 38),
}
