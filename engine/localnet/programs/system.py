"""The system program: transfers lamports and creates accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from solders.pubkey import Pubkey

from engine.localnet.programs.context import Context
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import SYSTEM, text
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.transaction import Step
from engine.localnet.state.view import View

UNITS = 150
IN_USE, NEGATIVE, ADDRESS_MISMATCH = 0, 1, 5
SPACE_MAX = 10 * 1024 * 1024


def run(context: Context, step: Step) -> None:
    """Executes one instruction of the system program."""
    context.spend(UNITS, builtin=True)
    tag = int.from_bytes(step.data[:4], "little")
    handler = _HANDLERS.get(tag) if len(step.data) >= 4 else None
    if handler is None:
        raise InstructionFailed("InvalidInstructionData")
    handler(context, step)


def _transfer(context: Context, step: Step) -> None:
    source, target = context.keys(step, 2)[:2]
    if not context.signs(step, 0):
        raise InstructionFailed("MissingRequiredSignature")
    move(context.view, source, target, _number(step.data, 4))


def move(view: View, source: str, target: str, lamports: int) -> None:
    """Moves lamports out of a system account. Raises InstructionFailed."""
    payer = view.get(source) or Account(0)
    if payer.data:
        raise InstructionFailed("InvalidArgument", "Transfer: `from` must not carry data")
    if payer.lamports < lamports:
        raise InstructionFailed(NEGATIVE, f"Transfer: insufficient lamports {payer.lamports}")
    if lamports and payer.owner != SYSTEM:
        raise InstructionFailed("ExternalAccountLamportSpend")
    view.put(source, payer._replace(lamports=payer.lamports - lamports))
    paid = view.get(target) or Account(0)
    view.put(target, paid._replace(lamports=paid.lamports + lamports))


def create(view: View, payer: str, address: str, lamports: int, space: int, owner: str) -> None:
    """Creates an account. Raises InstructionFailed."""
    existing = view.get(address)
    if existing is not None and (existing.lamports or existing.data or existing.owner != SYSTEM):
        raise InstructionFailed(IN_USE, f"Create Account: account {address} already in use")
    if space > SPACE_MAX:
        raise InstructionFailed(3)
    move(view, payer, address, lamports)
    account = view.get(address)
    if account is not None:
        view.put(address, Account(account.lamports, owner, bytes(space)))


def _create(context: Context, step: Step) -> None:
    payer, address = context.keys(step, 2)[:2]
    if not (context.signs(step, 0) and context.signs(step, 1)):
        raise InstructionFailed("MissingRequiredSignature")
    data = step.data
    if len(data) < 52:
        raise InstructionFailed("InvalidInstructionData")
    create(context.view, payer, address, _number(data, 4), _number(data, 12), text(data[20:52]))


def _create_with_seed(context: Context, step: Step) -> None:
    payer, address = context.keys(step, 2)[:2]
    data = step.data
    length = _number(data, 36)
    at = 44 + length
    if length > 32 or len(data) < at + 48:
        raise InstructionFailed("InvalidInstructionData")
    base, seed, owner = data[4:36], data[44:at].decode(), data[at + 16 : at + 48]
    if str(Pubkey.create_with_seed(Pubkey(base), seed, Pubkey(owner))) != address:
        raise InstructionFailed(ADDRESS_MISMATCH)
    signers = context.tx.keys[: context.tx.signatures]
    if payer not in signers or text(base) not in signers:
        raise InstructionFailed("MissingRequiredSignature")
    create(context.view, payer, address, _number(data, at), _number(data, at + 8), text(owner))


def _number(data: bytes, at: int) -> int:
    if len(data) < at + 8:
        raise InstructionFailed("InvalidInstructionData")
    return int.from_bytes(data[at : at + 8], "little")


_HANDLERS: Mapping[int, Callable[[Context, Step], None]] = {
    0: _create,
    2: _transfer,
    3: _create_with_seed,
}
