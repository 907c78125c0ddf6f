"""The token programs: initialises empty accounts as mints and token accounts."""

from __future__ import annotations

from engine.localnet.programs.context import Context
from engine.localnet.state import accounts
from engine.localnet.state.accounts import MINT_BYTES, TOKEN_BYTES, is_mint
from engine.localnet.state.addresses import RENT_SYSVAR, TOKEN, TOKEN_2022, WSOL, text
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.token_extensions import first_state, token_account_tail
from engine.localnet.state.transaction import Step
from engine.localnet.state.view import View

NOT_RENT_EXEMPT, INVALID_MINT, IN_USE = 0, 2, 6


def initialize_account(context: Context, step: Step, keys: list[str]) -> None:
    """InitializeAccount, 2 and 3: they differ in where the owner is given."""
    owner = keys[2] if step.data[0] == 1 else text(step.data[1:33])
    if step.data[0] == 1 and keys[3:4] != [RENT_SYSVAR]:
        raise InstructionFailed("InvalidArgument")
    initialize(context.view, keys[0], keys[1], owner)


def initialize(
    view: View, address: str, mint: str, owner: str, *, immutable_owner: bool = False
) -> None:
    """Initialises an empty account as a token account. Raises InstructionFailed."""
    account, minted = view.get(address), view.get(mint)
    programs = (TOKEN, TOKEN_2022)
    if account is None or account.owner not in programs or len(account.data) < TOKEN_BYTES:
        raise InstructionFailed("InvalidAccountData")
    if account.data[108]:
        raise InstructionFailed(IN_USE, "Error: account or token already in use")
    if account.lamports < view.rent_exempt(len(account.data)):
        raise InstructionFailed(NOT_RENT_EXEMPT, "Error: Lamport balance below rent-exempt")
    if minted is None or not is_mint(minted) or minted.owner != account.owner:
        raise InstructionFailed(INVALID_MINT, "Error: Invalid Mint")
    tail = token_account_tail(minted, immutable_owner=immutable_owner)
    if len(account.data) != TOKEN_BYTES + len(tail):
        raise InstructionFailed("InvalidAccountData")
    lamports = account.lamports if mint == WSOL else 0
    token_account = accounts.token_account(
        mint, owner, lamports=lamports, rent=view.rent_exempt(TOKEN_BYTES)
    )
    data = bytearray(token_account.data + tail)
    data[108] = first_state(minted)
    view.put(address, accounts.Account(account.lamports, account.owner, bytes(data)))


def initialize_mint(context: Context, step: Step, keys: list[str]) -> None:
    """InitializeMint and 2."""
    account = context.account(keys[0])
    if account.owner != TOKEN or len(account.data) != MINT_BYTES:
        raise InstructionFailed("InvalidAccountData")
    if account.data[45]:
        raise InstructionFailed(IN_USE, "Error: account or token already in use")
    if account.lamports < context.view.rent_exempt(MINT_BYTES):
        raise InstructionFailed(NOT_RENT_EXEMPT, "Error: Lamport balance below rent-exempt")
    mint_account = accounts.mint_account(step.data[1], 0, text(step.data[2:34]))
    context.view.put(keys[0], mint_account._replace(lamports=account.lamports))
