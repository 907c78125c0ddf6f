"""Executes a transaction on a view: the fee first, then all instructions or none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import structlog

from engine.localnet.programs import ata, budget, memo, swaps, system, token
from engine.localnet.programs.context import Context, Program, Swapped
from engine.localnet.state.accounts import U64_MAX, Account
from engine.localnet.state.addresses import (
    ATA,
    COMPUTE_BUDGET,
    MEMO,
    MEMO_V1,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
)
from engine.localnet.state.failures import InstructionFailed, NotTaken
from engine.localnet.state.loaded import loaded_bytes
from engine.localnet.state.pools import Families
from engine.localnet.state.transaction import Transaction
from engine.localnet.state.view import View
from events.telemetry.error_text import error_text
from stages.pools.contract import Clock

log = structlog.get_logger()

TOO_MUCH_LOADED = "MaxLoadedAccountsDataSizeExceeded"

SMALL: Mapping[str, Program] = {
    SYSTEM: system.run,
    COMPUTE_BUDGET: budget.run,
    TOKEN: token.run,
    TOKEN_2022: token.run,
    ATA: ata.run,
    MEMO: memo.run,
    MEMO_V1: memo.run,
}


class Outcome(NamedTuple):
    """The result of a transaction. `err` is the chain's JSON value, None on success."""

    err: Any
    fee: int
    units: int
    logs: list[str]
    swaps: list[Swapped]
    memo: str
    loaded: int = 0
    """Bytes of account data that were loaded, at most the limit."""


def programs(families: Families) -> dict[str, Program]:
    """All programs of a chain with these pool programs, by address."""
    table = dict(SMALL)
    for program, family in families.by_program.items():
        table[program] = partial(swaps.run, family=family)
    return table


def execute(view: View, tx: Transaction, clock: Clock, table: Mapping[str, Program]) -> Outcome:
    """Executes a transaction on its view. Raises NotTaken and leaves the view as it was."""
    terms = budget.budget(tx.steps, tx.config)
    fee = terms.fee(tx.signatures)
    missing = next((step.program for step in tx.steps if step.program not in table), None)
    if missing is not None:
        raise NotTaken("ProgramAccountNotFound")
    paid = _charge(view, tx.keys[0], fee)
    loaded = loaded_bytes(tx.keys, view.get)
    if loaded > terms.loaded:  # a block takes it for its fee (SIMD-0191)
        return Outcome(TOO_MUCH_LOADED, fee, 0, [], [], memo.words_of(tx), terms.loaded)
    context = Context(tx, view, clock, terms.units)
    err = _run(context, table)
    if err is None:
        err = _rent(view, tx.keys)
    if err is not None:
        view.drop({tx.keys[0]: paid})
        context.swaps.clear()
    units = terms.units - context.units
    words = "; ".join(context.memos)
    return Outcome(err, fee, units, context.logs, context.swaps, words, loaded)


def _charge(view: View, payer: str, fee: int) -> Account:
    account = view.get(payer)
    if account is None:
        raise NotTaken("AccountNotFound")
    if account.owner != SYSTEM or account.data:
        raise NotTaken("InvalidAccountForFee")
    left = account.lamports - fee
    if left < 0:
        raise NotTaken("InsufficientFundsForFee")
    if 0 < left < view.rent_exempt(0):
        raise NotTaken({"InsufficientFundsForRent": {"account_index": 0}})
    paid = account._replace(lamports=left)
    view.put(payer, paid)
    return paid


def _run(context: Context, table: Mapping[str, Program]) -> Any:
    logs = context.logs
    for index, step in enumerate(context.tx.steps):
        program, before = step.program, context.units
        logs.append(f"Program {program} invoke [1]")
        try:
            table[program](context, step)
        except Exception as error:
            failed = _failure(error)
            if failed.log:
                logs.append(f"Program log: {failed.log}")
            logs.append(_consumed(program, before, context.units))
            logs.append(f"Program {program} failed: {failed.words}")
            return failed.value(index)
        if program not in _SILENT:
            logs.append(_consumed(program, before, context.units))
        logs.append(f"Program {program} success")
    return None


def _failure(error: Exception) -> InstructionFailed:
    """The failure of an instruction. Any other exception is a program that panicked: input that
    breaks this arithmetic would break the program's, and must not stop the chain.
    """
    if isinstance(error, InstructionFailed):
        return error
    log.warning("localnet_program_panicked", error=error_text(error))
    return InstructionFailed("ProgramFailedToComplete", message="SBF program panicked")


_SILENT = (SYSTEM, COMPUTE_BUDGET)


def _consumed(program: str, before: int, after: int) -> str:
    return f"Program {program} consumed {before - after} of {before} compute units"


def _rent(view: View, keys: list[str]) -> Any:
    """The error of an account that is left with less than its rent, and had more before: existing
    accounts stay usable when the rent rises (SIMD-0392).
    """
    for address, account in view.changed.items():
        least = min(view.rent_exempt(len(account.data)), view.held(address) or U64_MAX)
        if 0 < account.lamports < least:
            return {"InsufficientFundsForRent": {"account_index": keys.index(address)}}
    return None
