"""Reasons for the chain's own errors: of transactions, of instructions, and of the programs around
a swap. Tables only; `errors` decides which of them counts.

Names: `TransactionError` and `InstructionError` of the Solana SDK. Numbers: `SystemError`, the
`TokenError` of spl-token and spl-token-2022, `AssociatedTokenAccountError`, Anchor's `ErrorCode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from events.reason_codes import ReasonCode
from stages.venues.solana.transaction.programs import ASSOCIATED_TOKEN, SYSTEM, TOKEN, TOKEN_2022


class Reason(NamedTuple):
    """Why a transaction failed."""

    code: ReasonCode
    retryable: bool = False
    """Whether a new quote may well succeed, of the same pool or of another."""
    detail: str = ""


INSUFFICIENT_FUNDS = Reason("insufficient-funds")
"""The wallet holds too little."""
SLIPPAGE = Reason("slippage-exceeded", retryable=True)
NO_LIQUIDITY = Reason("insufficient-liquidity", retryable=True)
"""The pool's vault holds too little."""
OUT_OF_COMPUTE = Reason("compute-budget-exceeded", retryable=True)
PANICKED = Reason("program-panicked", retryable=True)
REFUSED = Reason("instruction-refused")
OTHER = Reason("transaction-failed")

_BUSY = Reason("chain-busy", retryable=True)
_MALFORMED = Reason("transaction-malformed")
_TOO_LARGE = Reason("transaction-too-large", retryable=True)
_NO_PROGRAM = Reason("program-not-found")
_UNUSABLE = Reason("token-account-unusable")
_FROZEN = Reason("token-account-frozen")
_PAUSED = Reason("token-paused")
_UNSUPPORTED = Reason("unsupported-mint")
NOT_RENT_EXEMPT = Reason("account-not-rent-exempt", retryable=True)
"""An account that the transaction opened has too little: the cluster's rent has changed."""
_TAKEN = Reason("temporary-account-taken", retryable=True)

OF_WALLET: frozenset[ReasonCode] = frozenset(
    {
        "insufficient-funds", "wallet-cannot-pay-fees", "token-account-unusable",
        "token-account-frozen", "token-paused",
    }
)  # fmt: skip
"""Reasons that are the same on every route; after any other reason of a simulation another route
may do better."""

OF_TRANSACTION: Mapping[str, Reason] = {
    "AccountBorrowOutstanding": _MALFORMED,
    "AccountInUse": _BUSY,
    "AccountLoadedTwice": _MALFORMED,
    "AccountNotFound": INSUFFICIENT_FUNDS,  # of the fee payer: it never held a lamport
    "AlreadyProcessed": Reason("already-processed", retryable=True),
    "BlockhashNotFound": Reason("blockhash-not-found", retryable=True),
    "CallChainTooDeep": _MALFORMED,
    "ClusterMaintenance": _BUSY,
    "CommitCancelled": _BUSY,
    "DuplicateInstruction": _MALFORMED,
    "InsufficientFundsForFee": INSUFFICIENT_FUNDS,
    "InvalidAccountForFee": Reason("wallet-cannot-pay-fees"),
    "InvalidAccountIndex": _MALFORMED,
    "InvalidLoadedAccountsDataSizeLimit": _MALFORMED,
    "InvalidProgramForExecution": _NO_PROGRAM,
    "InvalidRentPayingAccount": INSUFFICIENT_FUNDS,
    "InvalidWritableAccount": _MALFORMED,
    "MaxLoadedAccountsDataSizeExceeded": _TOO_LARGE,
    "MissingSignatureForFee": _MALFORMED,
    "ProgramAccountNotFound": _NO_PROGRAM,
    "ProgramCacheHitMaxLimit": _BUSY,
    "ProgramExecutionTemporarilyRestricted": _BUSY,
    "ResanitizationNeeded": _BUSY,
    "SanitizeFailure": _MALFORMED,
    "SignatureFailure": _MALFORMED,
    "TooManyAccountLocks": _TOO_LARGE,
    "UnsupportedVersion": Reason("transaction-version-refused", retryable=True),
    "WouldExceedAccountDataBlockLimit": _BUSY,
    "WouldExceedAccountDataTotalLimit": _BUSY,
    "WouldExceedMaxAccountCostLimit": _BUSY,
    "WouldExceedMaxBlockCostLimit": _BUSY,
    "WouldExceedMaxVoteCostLimit": _BUSY,
}
"""Errors of the transaction as a whole, but `InsufficientFundsForRent`."""


def of_rent(account_index: object) -> Reason:
    """`InsufficientFundsForRent`: of the wallet, which is the first account, or of an account that
    the transaction opened.
    """
    return (
        NOT_RENT_EXEMPT
        if isinstance(account_index, int) and account_index > 0
        else INSUFFICIENT_FUNDS
    )


OF_INSTRUCTION: Mapping[str, Reason] = {
    "AccountAlreadyInitialized": _TAKEN,
    "AccountDataTooSmall": REFUSED,
    "AccountNotExecutable": _NO_PROGRAM,
    "AccountNotRentExempt": NOT_RENT_EXEMPT,
    "ArithmeticOverflow": PANICKED,
    "CallDepth": _TOO_LARGE,
    "ComputationalBudgetExceeded": OUT_OF_COMPUTE,
    "IllegalOwner": _UNUSABLE,
    "IncorrectAuthority": REFUSED,
    "IncorrectProgramId": _NO_PROGRAM,
    "InsufficientFunds": INSUFFICIENT_FUNDS,
    "InvalidAccountData": _UNUSABLE,
    "InvalidAccountOwner": _UNUSABLE,
    "InvalidArgument": REFUSED,
    "InvalidInstructionData": REFUSED,
    "InvalidSeeds": REFUSED,
    "MaxAccountsDataAllocationsExceeded": _BUSY,
    "MaxInstructionTraceLengthExceeded": _TOO_LARGE,
    "MissingAccount": REFUSED,
    "MissingRequiredSignature": REFUSED,
    "NotEnoughAccountKeys": REFUSED,
    "PrivilegeEscalation": REFUSED,
    "ProgramFailedToCompile": _NO_PROGRAM,
    "ReadonlyDataModified": REFUSED,
    "ReadonlyLamportChange": REFUSED,
    "UninitializedAccount": _UNUSABLE,
    "UnsupportedProgramId": _NO_PROGRAM,
}
"""Errors of one instruction that programs share, but `ProgramFailedToComplete`."""

ACCOUNT_MISSING = "token-account-missing"
"""How the table of a pool program calls it; of the wallet it is `insufficient-funds`."""
NO_ACCOUNT = frozenset({"IncorrectProgramId", "InvalidAccountData", "UninitializedAccount"})
"""The errors of programs at an address without a token account."""

TOKEN_SHORT = 1
"""The token programs: an account holds less than a transfer takes."""
TOKEN_CODES: Mapping[int, Reason] = {
    0: NOT_RENT_EXEMPT,
    TOKEN_SHORT: INSUFFICIENT_FUNDS,
    2: _UNSUPPORTED,  # no mint
    3: _UNUSABLE,  # of another mint
    4: _UNUSABLE,  # of another owner
    6: _TAKEN,
    9: _UNUSABLE,  # not initialized
    12: REFUSED,
    13: _UNUSABLE,  # in a state for something else
    14: NO_LIQUIDITY,  # the account that is paid would hold more than a u64
    17: _FROZEN,
    18: _UNSUPPORTED,  # other decimals than the instruction has
    24: _UNUSABLE,  # for confidential transfers, not approved
    25: _UNUSABLE,  # for confidential transfers only
    30: _UNSUPPORTED,  # transfer fee
    31: _UNSUPPORTED,  # wants an instruction that names the mint
    32: _UNSUPPORTED,  # transfer fee
    33: _UNSUPPORTED,  # transfer fee
    36: _UNUSABLE,  # wants a memo before each transfer
    37: _UNSUPPORTED,  # not transferable
    42: _UNUSABLE,  # its owner allows no transfers by other programs
    49: _UNUSABLE,  # takes no transfers that are not confidential
    67: _PAUSED,
}
_OWN_ACCOUNTS: Mapping[int, Reason] = {0: _TAKEN, 1: INSUFFICIENT_FUNDS}
OF_PROGRAM: Mapping[str, Mapping[int, Reason]] = {
    TOKEN: TOKEN_CODES,
    TOKEN_2022: TOKEN_CODES,
    SYSTEM: _OWN_ACCOUNTS,
    # Its own 0 is an account of another owner; what the programs that it calls say passes through:
    # 1 is the system program's, for want of the rent.
    ASSOCIATED_TOKEN: {**TOKEN_CODES, 0: _UNUSABLE},
}
"""Custom codes of the programs around the swap."""
_TABLES = (OF_TRANSACTION.values(), OF_INSTRUCTION.values(), TOKEN_CODES.values())
assert {reason.code for reasons in _TABLES for reason in reasons} >= OF_WALLET, "an error has each"

ANCHOR_NO_ACCOUNT = 3012
"""An account of the instruction does not exist."""
ANCHOR: Mapping[int, Reason] = {
    2014: _UNUSABLE,  # a token account of another mint
    2015: _UNUSABLE,  # … of another owner
}
"""Checks of accounts that Anchor makes before a program's own code runs, where they are about the
wallet's token accounts. All others are `REFUSED`."""
ANCHOR_CODES = range(100, 6_000)
