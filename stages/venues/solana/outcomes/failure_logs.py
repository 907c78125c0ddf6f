"""What the logs of a failed transaction tell of the instruction that failed. Pure.

Each program writes `Program <id> invoke [depth]` when it begins and `Program <id> success` or
`Program <id> failed: <why>` when it ends. An error goes outwards through all callers, so that the
first `failed` is of the program that raised it. What programs print themselves begins with
`Program log:`. Nodes cut logs at 10 kB, and some keep none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stages.pools.contract import ErrorCode
from stages.venues.solana.transaction.programs import TOKEN, TOKEN_2022

_INVOKED = re.compile(r"Program \w{32,44} invoke \[1\]$")
_FAILED = re.compile(r"Program (\w{32,44}) failed: (.*)$")
_PAID = frozenset(f"Program {program} success" for program in (TOKEN, TOKEN_2022))
_ANCHOR = re.compile(r"Program log: AnchorError .*Error Code: (\w+)\. Error Number: (\d+)\.")
_PRINTED = re.compile(r"Program log: (Error: (.+))$")
_ACCOUNT = re.compile(r"Program log: AnchorError caused by account: (\w+)\.")
_OUT_OF_COMPUTE = re.compile(
    r"exceeded CUs meter|exceeded maximum number of instructions|[Cc]omputational budget exceeded"
)
_USERS_ACCOUNT = re.compile(r"user_\w+|(in|out)put_token_account")


class Failure(NamedTuple):
    """The logs of the instruction that failed; empty where they were cut before it."""

    lines: tuple[str, ...] = ()
    """Of this instruction, up to the failure; all lines where its beginning is missing."""
    program: str = ""
    """The program that raised the error, which the instruction's may only pass on."""
    why: str = ""
    transfers: int = 0
    """Token transfers of this instruction that succeeded before it failed."""

    @property
    def out_of_compute(self) -> bool:
        """Whether the compute units were used up."""
        ends = (line for line in self.lines if not line.startswith("Program log:"))
        return bool(_OUT_OF_COMPUTE.search(self.why)) or any(map(_OUT_OF_COMPUTE.search, ends))

    def named(self, errors: Mapping[str, ErrorCode], code: int) -> ErrorCode | None:
        """The error in the program's own words, if they are of this number: a release may shift
        the numbers of a program, and keeps the names.
        """
        for line in reversed(self.lines):
            anchor = _ANCHOR.match(line)
            if anchor and int(anchor[2]) == code and anchor[1] in errors:
                return errors[anchor[1]]
            printed = _PRINTED.match(line)
            for name in printed.groups() if printed else ():
                if name in errors and errors[name].code == code:
                    return errors[name]
        return None

    @property
    def users_account(self) -> bool | None:
        """Whether an account check failed of an account of the wallet; None: not known."""
        for line in reversed(self.lines):
            if match := _ACCOUNT.match(line):
                return bool(_USERS_ACCOUNT.fullmatch(match[1]))
        return None


def failure_of(logs: Sequence[str], index: int) -> Failure:
    """The logs of instruction `index`, which failed."""
    begins = [number for number, line in enumerate(logs) if _INVOKED.match(line)]
    begun = index < len(begins)
    lines = logs[begins[index] :] if begun else logs
    for number, line in enumerate(lines):
        if match := _FAILED.match(line):
            lines = lines[: number + 1]
            return Failure(tuple(lines), match[1], match[2], _transfers(lines) if begun else 0)
    return Failure(tuple(lines), transfers=_transfers(lines) if begun else 0)


def _transfers(lines: Sequence[str]) -> int:
    return sum(line in _PAID for line in lines)
