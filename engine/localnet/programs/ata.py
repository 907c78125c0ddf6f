"""The associated token account program: one token account a wallet and mint, at a known address."""

from __future__ import annotations

from engine.localnet.programs import system, token_accounts
from engine.localnet.programs.context import Context
from engine.localnet.state import accounts
from engine.localnet.state.addresses import SYSTEM, TOKEN, TOKEN_2022, raw, token_address
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.token_extensions import token_account_size
from engine.localnet.state.transaction import Step

CREATE, CREATE_IDEMPOTENT = 0, 1
UNITS_CREATE, UNITS_THERE = 14_924, 5_838
INVALID_OWNER = 0


def run(context: Context, step: Step) -> None:
    """Create the account, or find it there already where that is fine."""
    tag = step.data[0] if step.data else CREATE
    if tag not in (CREATE, CREATE_IDEMPOTENT):
        raise InstructionFailed("InvalidInstructionData")
    payer, address, wallet, mint, _, program = context.keys(step, 6)[:6]
    if token_address(wallet, mint, program) != address:
        context.spend(UNITS_THERE)
        raise InstructionFailed("InvalidSeeds", "Error: Associated address does not match")
    there = context.view.get(address)
    if tag == CREATE_IDEMPOTENT and there is not None and there.owner == program:
        context.spend(UNITS_THERE)
        if not accounts.is_token_account(there):
            raise InstructionFailed("InvalidAccountData")
        if there.data[32:64] != raw(wallet):
            raise InstructionFailed(INVALID_OWNER)
        if there.data[:32] != raw(mint):
            raise InstructionFailed("InvalidAccountData")
        return
    if there is not None and there.owner != SYSTEM:
        context.spend(UNITS_THERE)
        raise InstructionFailed("IllegalOwner")
    context.spend(UNITS_CREATE)
    if program not in (TOKEN, TOKEN_2022):
        raise InstructionFailed("IncorrectProgramId")
    minted = context.view.get(mint)
    if minted is None or not accounts.is_mint(minted):
        raise InstructionFailed("InvalidAccountData")
    if minted.owner != program:
        raise InstructionFailed("IncorrectProgramId")
    if not context.signs(step, 0):
        raise InstructionFailed("MissingRequiredSignature")
    account = accounts.Account(0, program, bytes(token_account_size(minted, immutable_owner=True)))
    _fund(context, payer, address, there, account)
    token_accounts.initialize(context.view, address, mint, wallet, immutable_owner=True)


def _fund(
    context: Context,
    payer: str,
    address: str,
    there: accounts.Account | None,
    account: accounts.Account,
) -> None:
    """Bring the new account to its rent; somebody may have sent lamports there before."""
    had = there.lamports if there else 0
    missing = max(0, context.view.rent_exempt(len(account.data)) - had)
    if missing:
        system.move(context.view, payer, address, missing)
    context.view.put(address, account._replace(lamports=had + missing))
