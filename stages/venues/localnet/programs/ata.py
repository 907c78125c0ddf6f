"""The associated token account program: one token account a wallet and mint, at a known address."""

from __future__ import annotations

from stages.venues.localnet import accounts
from stages.venues.localnet.addresses import SYSTEM, TOKEN, raw, token_address
from stages.venues.localnet.failures import InstructionFailed
from stages.venues.localnet.programs import system, token_accounts
from stages.venues.localnet.programs.context import Context
from stages.venues.localnet.transaction import Step

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
    if program != TOKEN:
        raise InstructionFailed("IncorrectProgramId")
    if not accounts.is_mint(context.view.get(mint)):
        raise InstructionFailed("InvalidAccountData")
    if not context.signs(step, 0):
        raise InstructionFailed("MissingRequiredSignature")
    _fund(context, payer, address, there)
    token_accounts.initialize(context.view, address, mint, wallet)


def _fund(context: Context, payer: str, address: str, there: accounts.Account | None) -> None:
    """Bring the new account to its rent; somebody may have sent lamports there before."""
    had = there.lamports if there else 0
    missing = max(0, context.view.rent_exempt(accounts.TOKEN_BYTES) - had)
    if missing:
        system.move(context.view, payer, address, missing)
    context.view.put(address, accounts.Account(had + missing, TOKEN, bytes(accounts.TOKEN_BYTES)))
