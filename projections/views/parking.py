"""Why an order is parked, as a stable code. Pure.

Events hold the sentence only, as every build wrote it: the code is derived from it.
"""

from __future__ import annotations

from typing import NamedTuple

from events.order.next_stage import EXECUTED


class ParkedKind(NamedTuple):
    """A kind of parking."""

    sentence: str
    begins: tuple[str, ...]
    """How the recorded sentences begin."""


OTHER = "engine-fault"

PARKED: dict[str, ParkedKind] = {
    "worker-died": ParkedKind(
        "Processes of a stage ended again and again with this order alone in hand.",
        ("its worker died",),
    ),
    "unreadable": ParkedKind(
        "This build cannot read what is stored of the order.",
        ("unreadable head", "cannot be read by this build", "its head is missing"),
    ),
    "executed-on-chain": ParkedKind(
        "A transaction whose events are lost executed the order.", (EXECUTED,)
    ),
    OTHER: ParkedKind("A stage met an unexpected error with this order.", ()),
}


def parked_code(sentence: str) -> str:
    """The code of a recorded sentence; `engine-fault` for any that is not known."""
    for code, kind in PARKED.items():
        if sentence.startswith(kind.begins):
            return code
    return OTHER
