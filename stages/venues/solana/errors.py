"""What an error on chain means: a stable reason, and whether a new try may do better. By table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.venues.pool import Family
from stages.venues.solana.programs import (
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    MEMO,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
)


class Reason(NamedTuple):
    """Why a transaction failed."""

    code: str
    retryable: bool = False
    detail: str = ""


POOR = Reason("insufficient-funds")
BUSY = Reason("chain-busy", retryable=True)
OTHER = Reason("transaction-failed")
PANIC = "ProgramFailedToComplete"

OF_TRANSACTION: Mapping[str, Reason] = {
    "InsufficientFundsForFee": POOR,
    "InsufficientFundsForRent": POOR,
    "AccountNotFound": POOR,  # of the fee payer: an address that never held a lamport
    "InvalidAccountForFee": Reason("wallet-cannot-pay-fees"),
    "BlockhashNotFound": Reason("blockhash-not-found", retryable=True),
    "AlreadyProcessed": Reason("already-processed", retryable=True),
    "ProgramAccountNotFound": Reason("program-not-found"),
    "InvalidProgramForExecution": Reason("program-not-found"),
    "SanitizeFailure": Reason("transaction-malformed"),
    "SignatureFailure": Reason("transaction-malformed"),
    "MaxLoadedAccountsDataSizeExceeded": Reason("transaction-too-large"),
    "TooManyAccountLocks": Reason("transaction-too-large"),
    "AccountInUse": BUSY,
    "AccountLoadedTwice": Reason("transaction-malformed"),
    "ClusterMaintenance": BUSY,
    "ProgramCacheHitMaxLimit": BUSY,
    "CommitCancelled": BUSY,
    "WouldExceedAccountDataBlockLimit": BUSY,
    "WouldExceedAccountDataTotalLimit": BUSY,
    "WouldExceedMaxAccountCostLimit": BUSY,
    "WouldExceedMaxBlockCostLimit": BUSY,
    "WouldExceedMaxVoteCostLimit": BUSY,
    "ProgramExecutionTemporarilyRestricted": BUSY,
}
"""Errors of the transaction as a whole."""

OF_INSTRUCTION: Mapping[str, Reason] = {
    "ComputationalBudgetExceeded": Reason("compute-budget-exceeded", retryable=True),
    PANIC: Reason("program-panicked", retryable=True),
    "InsufficientFunds": POOR,
    "AccountNotRentExempt": POOR,
    "InvalidAccountData": Reason("token-account-unusable"),
    "UninitializedAccount": Reason("token-account-missing"),
    "IllegalOwner": Reason("token-account-unusable"),
    "InvalidAccountOwner": Reason("token-account-unusable"),
    "InvalidInstructionData": Reason("instruction-refused"),
    "NotEnoughAccountKeys": Reason("instruction-refused"),
    "MissingAccount": Reason("instruction-refused"),
    "UnsupportedProgramId": Reason("program-not-found"),
    "IncorrectProgramId": Reason("program-not-found"),
}
"""Errors of one instruction that programs share."""

_TOKEN_CODES: Mapping[int, Reason] = {
    0: POOR,  # not rent exempt
    1: POOR,
    3: Reason("token-account-unusable"),  # of another mint
    4: Reason("token-account-unusable"),  # of another owner
    17: Reason("token-account-frozen"),
    67: Reason("token-paused"),
}
_CUSTOM: Mapping[str, Mapping[int, Reason]] = {
    TOKEN: _TOKEN_CODES,
    TOKEN_2022: _TOKEN_CODES,
    SYSTEM: {0: Reason("temporary-account-taken", retryable=True), 1: POOR},
    ASSOCIATED_TOKEN: {0: Reason("token-account-unusable")},
}
"""Custom codes of the programs around the swap."""

_NAMES = {
    TOKEN: "token",
    TOKEN_2022: "token-2022",
    SYSTEM: "system",
    ASSOCIATED_TOKEN: "associated-token",
    COMPUTE_BUDGET: "compute-budget",
    MEMO: "memo",
}
_NAMED = re.compile(r"Error Code: (\w+)\.")
_ANCHOR_CODES = range(2_000, 6_000)
"""Checks of accounts that Anchor makes before a program's own code runs."""


OF_WALLET = frozenset(
    {
        "insufficient-funds", "wallet-cannot-pay-fees", "token-account-unusable",
        "token-account-missing", "token-account-frozen", "account-frozen",
    }
)  # fmt: skip
"""What no other route would change; whatever else a simulation says, another may do better."""


def named_in(logs: Sequence[str], families: Sequence[Family]) -> Reason | None:
    """What an Anchor program calls its error in the logs: a release may shift the numbers."""
    for line in reversed(logs):
        found = _NAMED.search(line)
        if found:
            for family in families:
                known = family.errors.get(found[1])
                if known is not None:
                    return Reason(known.reason, known.retryable, line[-200:])
    return None


def reason_of(err: Any, programs: Sequence[str], families: Sequence[Family]) -> Reason:
    """What the chain's `err` (as JSON has it) means for a transaction whose instructions are of
    these programs, in order. Never raises: an error that no table has is `transaction-failed`.
    """
    match err:
        case str():
            return OF_TRANSACTION.get(err, OTHER)._replace(detail=err)
        case {"InstructionError": [int(index), error]} if 0 <= index < len(programs):
            return _of_instruction(error, index, programs[index], families)
        case {**fields} if fields:
            name = str(next(iter(fields)))
            return OF_TRANSACTION.get(name, OTHER)._replace(detail=str(err)[:200])
    return OTHER._replace(detail=str(err)[:200])


def _of_instruction(error: Any, index: int, program: str, families: Sequence[Family]) -> Reason:
    family = next((f for f in families if program in f.programs.values()), None)
    where = f"instruction {index} ({family.name if family else _NAMES.get(program, program)})"
    match error:
        case {"Custom": int(code)}:
            return _custom(code, program, family)._replace(detail=f"{where}: {code:#x} ({code})")
        case str() if error == PANIC and family is not None:
            return _of_family(-1, family, OF_INSTRUCTION[PANIC])._replace(detail=f"{where}: panic")
        case str():
            return OF_INSTRUCTION.get(error, OTHER)._replace(detail=f"{where}: {error}")
    return OTHER._replace(detail=f"{where}: {str(error)[:100]}")


def _custom(code: int, program: str, family: Family | None) -> Reason:
    if family is None:
        return _CUSTOM.get(program, {}).get(code, OTHER)
    if code in _ANCHOR_CODES:
        return Reason("instruction-refused")
    # What a pool's program does not know itself, its transfers said: it passes their codes on.
    return _of_family(code, family, _TOKEN_CODES.get(code, OTHER))


def _of_family(code: int, family: Family, otherwise: Reason) -> Reason:
    found = next((error for error in family.errors.values() if error.code == code), None)
    return Reason(found.reason, found.retryable) if found is not None else otherwise
