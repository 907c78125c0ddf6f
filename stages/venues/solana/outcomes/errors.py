"""The reason of an error on chain, and whether a new try may do better. Pure.

The reason depends on which account ran out of funds: the wallet's, an account that the transaction
itself filled, or the pool's. It is derived from three things: the chain's error, the logs, and the
instructions of the transaction. The tables are those of the pool families and `error_codes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from stages.pools.contract import ErrorCode, Family, Instruction, Parsed
from stages.venues.solana.outcomes.error_codes import (
    ACCOUNT_MISSING,
    ANCHOR,
    ANCHOR_CODES,
    ANCHOR_NO_ACCOUNT,
    INSUFFICIENT_FUNDS,
    NO_ACCOUNT,
    NO_LIQUIDITY,
    NOT_RENT_EXEMPT,
    OF_INSTRUCTION,
    OF_PROGRAM,
    OF_TRANSACTION,
    OTHER,
    OUT_OF_COMPUTE,
    PANICKED,
    REFUSED,
    SLIPPAGE,
    TOKEN_CODES,
    TOKEN_SHORT,
    Reason,
    of_rent,
)
from stages.venues.solana.outcomes.failure_logs import Failure, failure_of
from stages.venues.solana.transaction.programs import (
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    MEMO,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
)

_NAMES = {
    TOKEN: "token",
    TOKEN_2022: "token-2022",
    SYSTEM: "system",
    ASSOCIATED_TOKEN: "associated-token",
    COMPUTE_BUDGET: "compute-budget",
    MEMO: "memo",
}
_CLOSE_ACCOUNT = bytes([9])
_HOOK = Reason("transfer-hook-mint")


class _Failed(NamedTuple):
    """An instruction that failed."""

    program: str
    family: Family | None
    """The pool program, if it is a swap."""
    exact_out: bool
    short: bool
    """Whether the wallet's own account may hold less than the swap may take. Not an account that
    this transaction fills: by wrapping SOL, or by an earlier swap."""
    logs: Failure


def reason_of(
    err: Any,
    logs: Sequence[str],
    instructions: Sequence[Instruction],
    families: Sequence[Family],
    balances: Mapping[str, int] = MappingProxyType({}),
) -> Reason:
    """The reason why a transaction of these instructions failed.

    `err` is the chain's, as JSON has it; `logs` may be cut or empty. `balances` are those of token
    accounts before it, in base units, as far as the node reports them. Never raises: an error that
    no table has is `transaction-failed`.
    """
    match err:
        case str():
            return OF_TRANSACTION.get(err, OTHER)._replace(detail=err)
        case {"InstructionError": [int(index), error]} if 0 <= index < len(instructions):
            swaps = _swaps(instructions, families)
            failed = _failed(instructions, index, swaps, failure_of(logs, index), balances)
            program = failed.program
            name = failed.family.name if failed.family else _NAMES.get(program, program)
            reason = _of_instruction(error, failed)
            within = failed.logs.program
            if within not in ("", program):
                name += f", within it {_NAMES.get(within, within)}"
            return reason._replace(detail=f"instruction {index} ({name}): {_shown(error)}")
        case {"InsufficientFundsForRent": rent}:
            at = rent.get("account_index") if isinstance(rent, dict) else None
            return of_rent(at)._replace(detail=str(err)[:200])
        case {**fields} if fields:
            name = str(next(iter(fields)))
            return OF_TRANSACTION.get(name, OTHER)._replace(detail=str(err)[:200])
    return OTHER._replace(detail=str(err)[:200])


def _shown(error: Any) -> str:
    match error:
        case {"Custom": int(code)}:
            return f"{code:#x} ({code})"
        case str():
            return error
    return str(error)[:100]


def _swaps(
    instructions: Sequence[Instruction], families: Sequence[Family]
) -> list[tuple[Family | None, Parsed | None]]:
    """For each instruction, the family of its program and the swap that it makes."""
    by_program = {program: f for f in families for program in f.programs.values()}
    pairs = [(by_program.get(instruction.program), instruction) for instruction in instructions]
    return [
        (family, family.parse(instruction) if family else None) for family, instruction in pairs
    ]


def _failed(
    instructions: Sequence[Instruction],
    index: int,
    swaps: Sequence[tuple[Family | None, Parsed | None]],
    logs: Failure,
    balances: Mapping[str, int],
) -> _Failed:
    program, (family, swap) = instructions[index].program, swaps[index]
    if swap is None:
        return _Failed(program, family, exact_out=False, short=True, logs=logs)
    account = swap.accounts.token_in
    most = sum(_most(each) for _, each in swaps if each and each.accounts.token_in == account)
    filled = {each.accounts.token_out for _, each in swaps[:index] if each is not None}
    short = (
        account not in filled
        and not any(_closes(instruction, account) for instruction in instructions)
        and balances.get(account, 0) < most
    )
    return _Failed(program, family, swap.terms.exact_out, short, logs)


def _most(swap: Parsed) -> int:
    """The most that the swap takes."""
    return swap.terms.threshold if swap.terms.exact_out else swap.terms.amount


def _closes(instruction: Instruction, account: str) -> bool:
    """An account that a transaction closes at its end was filled by it: with wrapped SOL."""
    return (
        instruction.program == TOKEN
        and instruction.data == _CLOSE_ACCOUNT
        and any(use.address == account for use in instruction.accounts[:1])
    )


def _of_instruction(error: Any, failed: _Failed) -> Reason:
    match error:
        case {"Custom": int(code)}:
            return _of_swap(code, failed) if failed.family else _around(code, failed)
        case "ProgramFailedToComplete":
            return _incomplete(failed)
        case "InsufficientFunds" if failed.family is not None:
            return _short(failed)
        case str() if failed.family is not None and error in NO_ACCOUNT:
            return INSUFFICIENT_FUNDS if failed.short else REFUSED
        case str():
            return OF_INSTRUCTION.get(error, OTHER)
        case {"BorshIoError": _}:
            return REFUSED
    return OTHER


def _around(code: int, failed: _Failed) -> Reason:
    """Of a program around the swaps, by the tables of whichever raised it."""
    for program in (failed.logs.program, failed.program):
        known = OF_PROGRAM.get(program, {}).get(code)
        if known is not None:
            return known
    return OTHER


def _of_swap(code: int, failed: _Failed) -> Reason:
    family, logs = failed.family, failed.logs
    assert family is not None, "a swap has a family"
    within = logs.program or failed.program
    if within not in (failed.program, TOKEN, TOKEN_2022):
        return OF_PROGRAM[within].get(code, OTHER) if within in OF_PROGRAM else _HOOK
    if code == TOKEN_SHORT:
        return _short(failed)
    if within == failed.program:
        named = logs.named(family.errors, code)
        row = named if named is not None else _numbered(family, code)
        if row is not None:
            return _of_row(row, failed)
        if code in ANCHOR_CODES:
            return _of_anchor(code, failed)
    # Raised by a token program; a pool program passes its number on, and logs may be missing.
    return TOKEN_CODES.get(code, OTHER)


def _numbered(family: Family, code: int) -> ErrorCode | None:
    return next((row for row in family.errors.values() if row.code == code), None)


def _of_row(row: ErrorCode, failed: _Failed) -> Reason:
    """An error of the pool program, by its table."""
    if row.reason == INSUFFICIENT_FUNDS.code:
        return _short(failed, payer=True)
    if row.reason == ACCOUNT_MISSING:
        return INSUFFICIENT_FUNDS if failed.short else REFUSED
    if failed.exact_out and row.slips:
        return SLIPPAGE
    return Reason(row.reason, row.retryable)


def _of_anchor(code: int, failed: _Failed) -> Reason:
    users = failed.logs.users_account
    if not failed.short or users is False:
        return REFUSED
    if code == ANCHOR_NO_ACCOUNT:
        return INSUFFICIENT_FUNDS  # the wallet never held the token that the swap takes
    return ANCHOR.get(code, REFUSED)


def _short(failed: _Failed, *, payer: bool = False) -> Reason:
    """Some account holds less than a swap takes from it. A swap first takes from who pays, and then
    pays out of the pool's vault. `payer`: it can only be who pays.
    """
    if failed.logs.transfers:
        return NO_LIQUIDITY
    if failed.short:
        return INSUFFICIENT_FUNDS
    # This transaction brought the most that the swap may take.
    if failed.exact_out:
        return SLIPPAGE  # some programs take the money before they look at the threshold
    if payer or failed.logs.program:
        return NOT_RENT_EXEMPT  # a part of it became rent, which is more than was thought
    return NO_LIQUIDITY


def _incomplete(failed: _Failed) -> Reason:
    """`ProgramFailedToComplete`: out of compute units, or a panic. Without logs it is the first of
    them where a swap crosses ticks or bins, and around swaps, whose programs do not panic.
    """
    family, logs = failed.family, failed.logs
    told = logs.why and logs.why != "Program failed to complete"
    if logs.out_of_compute or (not told and (family is None or family.cu_step)):
        return OUT_OF_COMPUTE
    if family is not None and "panic" in family.errors:
        row = family.errors["panic"]
        return Reason(row.reason, row.retryable)
    return PANICKED
