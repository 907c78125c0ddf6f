"""Questions to nodes, and which answers are refused: for other items, or too old. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.json import Decoder
from solders.pubkey import Pubkey

from stages.venues.solana.rpc.answers import (
    AccountInfo,
    At,
    Context,
    KeyedAccount,
    SignatureStatus,
    TokenAccount,
)
from stages.venues.solana.rpc.faults import SIZED
from stages.venues.solana.rpc.options import Commitment

T = TypeVar("T")

ACCOUNTS = "getMultipleAccounts"
STATUSES = "getSignatureStatuses"

_accounts = Decoder(At[list[AccountInfo | None]])
_statuses = Decoder(At[list[SignatureStatus | None]])


class Ask(NamedTuple):
    """A method, its parameters, and how its answer is read."""

    method: str
    params: Sequence[Any]
    answer: Decoder[Any]
    check: Callable[[Any], str] = lambda _: ""
    """Why a result is none; empty for a good one. A node that gives such is left for another."""

    @property
    def size(self) -> int:
        """How many items it holds, where they may be split."""
        return len(self.params[0]) if self.method in SIZED else 0


class Heard(list[T]):
    """Answers of several nodes. `refusals`: why others, which do not serve a method, gave none."""

    refusals: tuple[str, ...] = ()


def config_of(commitment: Commitment, **more: Any) -> dict[str, Any]:
    """The options of a question, without those that are None."""
    return {"commitment": commitment} | {k: v for k, v in more.items() if v is not None}


def accounts_ask(some: Sequence[str], config: dict[str, Any], least: int | None = None) -> Ask:
    """For accounts, of a node that has reached a slot."""

    def check(answer: At[list[AccountInfo | None]]) -> str:
        if len(answer.value) != len(some):
            return f"{ACCOUNTS}: an answer for other accounts"
        return behind(answer, least)

    return Ask(ACCOUNTS, (some, config), _accounts, check)


def statuses_ask(signatures: Sequence[str], least: int | None) -> Ask:
    """For statuses from all of a node's history, of a node that has reached a slot."""

    def check(answer: At[list[SignatureStatus | None]]) -> str:
        if len(answer.value) != len(signatures):
            return f"{STATUSES}: an answer for other signatures"
        return behind(answer, least)

    config = {"searchTransactionHistory": True}
    return Ask(STATUSES, (list(signatures), config), _statuses, check)


def joined(
    answers: Sequence[At[list[SignatureStatus | None]]],
) -> At[list[SignatureStatus | None]]:
    """Several answers as one, of the earliest slot."""
    if len(answers) == 1:
        return answers[0]
    slot = min((answer.slot for answer in answers), default=0)
    return At(Context(slot), [status for answer in answers for status in answer.value])


def behind(answer: At[Any], least: int | None) -> str:
    """Why an answer is too old; empty for one that is not."""
    return behind_slot(answer.slot, least)


def behind_slot(slot: int, least: int | None) -> str:
    """Why a slot is too old; empty for one that is not."""
    return f"behind: at slot {slot}, not {least}" if least is not None and slot < least else ""


def base64_of(raw: bytes) -> str:
    """As transactions are written in parameters."""
    return b64encode(raw).decode()


def first_key(value: Any) -> str | None:
    """The fee payer of a transaction in JSON, where there is one."""
    try:
        first = value["transaction"]["message"]["accountKeys"][0]
    except (TypeError, KeyError, IndexError):
        return None
    return first if isinstance(first, str) else None


def token_account(keyed_account: KeyedAccount) -> TokenAccount:
    """The mint and the amount, read from the account's bytes."""
    data = keyed_account.account.bytes()
    amount = int.from_bytes(data[64:72], "little")
    return TokenAccount(keyed_account.pubkey, str(Pubkey.from_bytes(data[:32])), amount)
