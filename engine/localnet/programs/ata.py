"""The associated token account program: a derived address per wallet and mint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.localnet.programs import system, token_accounts
from engine.localnet.programs.context import Context
from engine.localnet.state import accounts
from engine.localnet.state.addresses import SYSTEM, TOKEN, TOKEN_2022, raw, token_address
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.token_extensions import token_account_size
from engine.localnet.state.transaction import Step

CREATE, CREATE_IDEMPOTENT = 0, 1
UNITS_CREATE, UNITS_EXISTING = 14_924, 5_838
INVALID_OWNER = 0


class Request(NamedTuple):
    """The accounts that an instruction names, as they are before it."""

    payer: str
    address: str
    wallet: str
    mint: str
    program: str
    existing: accounts.Account | None
    mint_account: accounts.Account | None
    payer_signs: bool

    def is_not_a_token_account(self) -> bool:
        """Whether the existing account is something else."""
        return self.existing is None or not accounts.is_token_account(self.existing)

    def is_for_others(self) -> bool:
        """Whether the existing account is of another wallet."""
        return self.existing is None or self.existing.data[32:64] != raw(self.wallet)

    def is_of_other_mint(self) -> bool:
        """Whether the existing account is of another mint."""
        return self.existing is None or self.existing.data[:32] != raw(self.mint)


Checks = Sequence[tuple[Callable[[Request], bool], int | str]]
"""Whether an instruction is invalid, and the error of it, in the order of the program."""

EXISTING: Checks = (
    (Request.is_not_a_token_account, "InvalidAccountData"),
    (Request.is_for_others, INVALID_OWNER),
    (Request.is_of_other_mint, "InvalidAccountData"),
)
NEW: Checks = (
    (lambda request: request.program not in (TOKEN, TOKEN_2022), "IncorrectProgramId"),
    (lambda request: not accounts.is_mint(request.mint_account), "InvalidAccountData"),
    (
        lambda request: (
            request.mint_account is None or request.mint_account.owner != request.program
        ),
        "IncorrectProgramId",
    ),
    (lambda request: not request.payer_signs, "MissingRequiredSignature"),
)


def run(context: Context, step: Step) -> None:
    """Creates the account; an idempotent instruction accepts one that exists."""
    tag = step.data[0] if step.data else CREATE
    if tag not in (CREATE, CREATE_IDEMPOTENT):
        raise InstructionFailed("InvalidInstructionData")
    payer, address, wallet, mint, _, program = context.keys(step, 6)[:6]
    if token_address(wallet, mint, program) != address:
        context.spend(UNITS_EXISTING)
        raise InstructionFailed("InvalidSeeds", "Error: Associated address does not match")
    existing = context.view.get(address)
    request = Request(
        payer, address, wallet, mint, program,
        existing, context.view.get(mint), context.signs(step, 0),
    )  # fmt: skip
    if tag == CREATE_IDEMPOTENT and existing is not None and existing.owner == program:
        context.spend(UNITS_EXISTING)
        _check(request, EXISTING)
        return
    if existing is not None and existing.owner != SYSTEM:
        context.spend(UNITS_EXISTING)
        raise InstructionFailed("IllegalOwner")
    context.spend(UNITS_CREATE)
    _check(request, NEW)
    assert request.mint_account is not None, "checked above"
    size = token_account_size(request.mint_account, immutable_owner=True)
    _fund(context, payer, address, existing, accounts.Account(0, program, bytes(size)))
    token_accounts.initialize(context.view, address, mint, wallet, immutable_owner=True)


def _check(request: Request, checks: Checks) -> None:
    for is_invalid, error in checks:
        if is_invalid(request):
            raise InstructionFailed(error)


def _fund(
    context: Context,
    payer: str,
    address: str,
    existing: accounts.Account | None,
    account: accounts.Account,
) -> None:
    """Raises the new account to its rent; lamports may have been sent to its address before."""
    had = existing.lamports if existing else 0
    missing = max(0, context.view.rent_exempt(len(account.data)) - had)
    if missing:
        system.move(context.view, payer, address, missing)
    context.view.put(address, account._replace(lamports=had + missing))
