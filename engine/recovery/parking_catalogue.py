"""What ends each kind of parking, and the codes of a refused settlement. `engine docs --write` puts
both tables into docs/reference/commands.md; `tests/unit/engine/test_parking_catalogue.py` holds the
codes against the sources that raise them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from events.reason_codes import ReasonCode


class Way(NamedTuple):
    """What ends one kind of parking."""

    reason: str
    """As `engine parked` lists it."""
    happened: str
    ends: str
    """The commands that end it."""


_CORRECTED = "`requeue` with a corrected build; `discard` before a send; `settle` after one"
WAYS = (
    Way(
        "`its worker died on it again and again`",
        "a process ended five times with this order alone in hand",
        _CORRECTED,
    ),
    Way("`TypeError: …`, any exception", "a stage met a bug with this order", _CORRECTED),
    Way(
        "`unreadable head: …`",
        "this build cannot read what another one wrote",
        "with a build that reads the order's events: `requeue` or `discard`; `settle` after a send",
    ),
    Way(
        "`executed on chain by …, whose events are lost`",
        "a transaction that the log had lost executed it; `engine repair` parked it",
        "`settle`; nothing else may touch it",
    ),
    Way(
        "`cannot be read by this build`",
        "its events are of a newer build, or damaged",
        "the newer build; `engine repair` for damaged records",
    ),
    Way(
        "`its head is missing or damaged: …`",
        "the log server lost or changed what it keeps of the order; no stage works on it",
        "`engine repair`, which rebuilds it from the events",
    ),
)

OwnCode = Literal["wallet-unknown", "another-settlement", "not-allowed"]
"""The refusals that never become the failure reason of an order."""

CODES: Mapping[ReasonCode | OwnCode, str] = {
    "transaction-not-found": "no node has it, and its death is not proved",
    "transaction-not-finalized": "its block is not final yet: try again",
    "transaction-unreadable": "the record cannot be read",
    "amounts-unclear": "the record does not show the amounts",
    "transaction-of-another-wallet": "another wallet paid for it, or swapped in it",
    "transaction-of-another-order": "it names another order, or none, or another order has it",
    "transaction-does-not-fit": "other tokens, or amounts outside the order's terms",
    "another-transaction-known": "the order was sent, or executed, by another one",
    "signature-needed": "nothing is known to be sent: name the transaction, or `discard`",
    "malformed-signature": "it is not a signature of this chain",
    "executed-more-than-once": "several executed it: name the one that counts; others are noted",
    "wallet-unknown": "the gateway cannot read SOLANA_KEYPAIR: use the command beside the stages",
    "archive-behind": "whether another order has it cannot be determined yet",
    "another-settlement": "another process settles an order by a named transaction now: try again",
    "not-allowed": "the order is not parked, or keeps changing",
}
"""Why a settlement was refused. Refusals of the nodes, such as `venue-unavailable`, are besides."""
assert CODES.keys() >= set(get_args(OwnCode)), "every refusal has its meaning"


def notes() -> str:
    """Returns both tables and what has to be known to read them, in Markdown."""
    return "\n\n".join(
        (
            "**Why an order is parked, and what ends that.**\n"
            "It is listed until one of these is done.\n"
            "Each is an event with an actor.",
            _table(("reason, as listed", "what happened", "what ends it"), WAYS),
            "Beside these, `engine cancel` and the order's expiry end what was parked before"
            " anything was sent.",
            "`settle` reads the transaction from the chain's record and closes the order in one"
            " step: confirmed with the amounts, fees and fills of the record, or failed with the"
            " chain's reason.\n"
            "It uses the transaction that the repair named, or that the log has sent.\n"
            "`--signature` names a transaction that is in no store: the engine's wallet must have"
            " paid for it, no other order may have it, and it must keep the order's tokens, amounts"
            " and price.\n"
            "A transaction of the log that is proved dead fails the order.\n"
            "Settling again reports the result and writes nothing.\n"
            "What is not certain is refused, with a code:",
            _table(("code", "meaning"), ((f"`{code}`", why) for code, why in CODES.items())),
        )
    )


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
