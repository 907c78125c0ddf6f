"""Why a transaction fails, in the values that the chain uses in JSON."""

from __future__ import annotations

from typing import Any

NAMES = {
    "InvalidArgument": "invalid program argument",
    "InvalidInstructionData": "invalid instruction data",
    "InvalidAccountData": "invalid account data for instruction",
    "InsufficientFunds": "insufficient funds for instruction",
    "IncorrectProgramId": "incorrect program id for instruction",
    "MissingRequiredSignature": "missing required signature for instruction",
    "UninitializedAccount": "instruction requires an initialized account",
    "NotEnoughAccountKeys": "insufficient account keys for instruction",
    "InvalidSeeds": "Provided seeds do not result in a valid address",
    "IllegalOwner": "Provided owner is not allowed",
    "InvalidAccountOwner": "Invalid account owner",
    "ReadonlyDataModified": "instruction modified data of a read-only account",
    "ReadonlyLamportChange": "instruction changed the balance of a read-only account",
    "UnsupportedProgramId": "Unsupported program id",
    "ComputationalBudgetExceeded": "Computational budget exceeded",
    "ProgramFailedToComplete": "Program failed to complete",
}


class InstructionFailed(Exception):
    """An instruction failed: the program's custom code, or the runtime's name for it."""

    def __init__(self, why: int | str, log: str = "", *, message: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.log = log
        self._message = message

    @property
    def words(self) -> str:
        """The text in the logs of the chain."""
        if self._message:
            return self._message
        if isinstance(self.why, int):
            return f"custom program error: {self.why:#x}"
        return NAMES.get(self.why, self.why)

    def value(self, index: int) -> dict[str, Any]:
        """The JSON value, for the instruction number `index`."""
        why = {"Custom": self.why} if isinstance(self.why, int) else self.why
        return {"InstructionError": [index, why]}


class NotTaken(Exception):
    """A transaction that no block accepts and that pays no fee; `err` is the JSON value."""

    WORDS = {  # noqa: RUF012  # a constant
        "BlockhashNotFound": "Blockhash not found",
        "AlreadyProcessed": "This transaction has already been processed",
        "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
        "InsufficientFundsForFee": "Insufficient funds for fee",
        "InvalidAccountForFee": "This account may not be used to pay transaction fees",
        "AddressLookupTableNotFound": "Transaction address table lookup uses an invalid table",
        "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
        "AccountLoadedTwice": "Account loaded twice",
        "InvalidLoadedAccountsDataSizeLimit": (
            "LoadedAccountsDataSizeLimit set for transaction must be greater than 0."
        ),
        "MaxLoadedAccountsDataSizeExceeded": (
            "Transaction exceeded max loaded accounts data size cap"
        ),
        "UnsupportedVersion": "Transaction version is unsupported",
        "SignatureFailure": "Transaction did not pass signature verification",
    }

    def __init__(self, err: Any) -> None:
        super().__init__(err)
        self.err = err
        self.words = words(err)


def words(err: Any) -> str:
    """The text of a transaction error, as a node returns it."""
    if isinstance(err, str):
        return NotTaken.WORDS.get(err, err)
    if "InstructionError" in err:
        index, why = err["InstructionError"]
        failed = InstructionFailed(why["Custom"] if isinstance(why, dict) else why)
        return f"Error processing Instruction {index}: {failed.words}"
    if "InsufficientFundsForRent" in err:
        index = err["InsufficientFundsForRent"]["account_index"]
        return f"Transaction results in an account ({index}) with insufficient funds for rent"
    return str(err)
