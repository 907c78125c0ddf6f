"""The proof of one order: its events with their exact bytes, which a stranger can check.

Pure. `hash = SHA-256(previous hash || body)`, the first event follows 32 zero bytes. The bytes of a
signed transaction never leave the engine: such an event comes with their SHA-256 alone, which is
what its link is made of. So the last hash stands for every byte before it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from events import types
from events.hash_chain import GENESIS, REDACTED_EVENTS
from events.log import Stored
from events.order.transitions import NEXT
from events.status import TERMINAL, Status
from events.telemetry.error_text import error_text

FORMAT = "oee-proof-2"
HOW = (
    "hash = SHA-256(previous hash || body); the first event follows 32 zero bytes. body is base64"
    " of the exact stored bytes (msgpack); where it is withheld, as a signed transaction's is,"
    " bodyHash, its SHA-256, stands in its place in that formula. Compare the last hash with one"
    " that you were told before, such as in a frame: it stands for everything above."
)
WHY = "it holds a signed transaction"
NAMES = frozenset(fact.__name__ for fact in REDACTED_EVENTS)
STATUS_AFTER = {
    (before, fact.__name__): after for before, row in NEXT.items() for fact, after in row.items()
}
"""The status after an event, by the status before it and the event's name."""


class ProofSummary(NamedTuple):
    """What a proof without faults shows."""

    order_id: str
    events: int
    status: Status | None
    """After its last event; None for a history that this build cannot follow."""
    last_hash: str
    """It stands for all bytes before it. The digits are lower-case hex."""

    @property
    def ended(self) -> bool:
        """Whether no event can follow. A proof of an order that has not ended may be cut short."""
        return self.status in TERMINAL


def proof_of(order_id: str, history: Sequence[Stored]) -> dict[str, Any]:
    """The document. Raises `msgspec.DecodeError` for an event of a newer build."""
    return {
        "format": FORMAT,
        "orderId": order_id,
        "how": HOW,
        "events": [_shown(stored) for stored in history],
    }


def _shown(stored: Stored) -> dict[str, Any]:
    event = stored.record.event()
    known = {
        "position": stored.position,
        "version": event.version,
        "event": event.name,
        "hash": stored.record.hash.hex(),
    }
    if type(event.fact) in REDACTED_EVENTS:
        hashed = sha256(bytes(stored.record.body)).hexdigest()
        return known | {"body": None, "withheld": WHY, "bodyHash": hashed}
    return known | {"body": base64.b64encode(bytes(stored.record.body)).decode()}


def summary_of(document: Mapping[str, Any]) -> ProofSummary:
    """The summary of a proof for which `faults_of` is empty."""
    events, status = document["events"], None
    for shown in events:
        status = _status_after(status, shown)
    return ProofSummary(document["orderId"], len(events), status, events[-1]["hash"].lower())


def _status_after(before: Status | None, shown: Mapping[str, Any]) -> Status | None:
    return STATUS_AFTER.get((before, types.current_name(shown["event"])))


def faults_of(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a proof; nothing where it holds. Never raises.

    A proof that was cut short, or recreated with hashes of its own, has no fault: only a hash
    from elsewhere tells them apart. Positions are not hashed; here they must only increase.
    """
    events = document.get("events")
    if document.get("format") != FORMAT or not isinstance(events, list) or not events:
        return [f"this is not a proof of the format {FORMAT}"]
    faults: list[str] = []
    previous, position, status = GENESIS, 0, None
    for number, shown in enumerate(events, start=1):
        try:
            digest = bytes.fromhex(shown["hash"])
            after = _status_after(status, shown)
            fault = (
                _fault(shown, previous, digest, number, document["orderId"])
                or _order_fault(shown, position, status, after)
            )  # fmt: skip
            if fault is not None:
                faults.append(f"position {shown['position']}: {fault}")
        except (KeyError, TypeError, ValueError) as error:
            return [*faults, f"event {number} cannot be read: {error_text(error)}"]
        previous, position, status = digest, shown["position"], after
    return faults


def _order_fault(
    shown: Mapping[str, Any], position: int, before: Status | None, after: Status | None
) -> str | None:
    """What is wrong with its place among the others."""
    if shown["position"] <= position:
        return f"it follows position {position}"
    if after is None:
        return f"{shown['event']} cannot follow {before or 'the beginning'}"
    return None


def _fault(
    shown: Mapping[str, Any], previous: bytes, digest: bytes, number: int, order_id: object
) -> str | None:
    if shown["version"] != number:
        return f"version {shown['version']} where {number} comes next"
    if shown["body"] is None:
        return _withheld_fault(shown, previous, digest)
    try:
        body = base64.b64decode(shown["body"], validate=True)
    except binascii.Error:
        return "its body is not base64"
    if sha256(previous + body).digest() != digest:
        return "its hash is not that of its bytes and the hash before"
    try:
        event = types.decode(body)
    except Exception:  # of a newer build, or malformed: only its hash is verified
        return "its bytes are not an event that this build knows"
    name = types.current_name(shown["event"])  # the document may be of a build before a renaming
    if (event.order_id, event.version, event.name) != (order_id, number, name):
        return "its bytes say something else than what stands beside them"
    return None


def _withheld_fault(shown: Mapping[str, Any], previous: bytes, digest: bytes) -> str | None:
    if shown["event"] not in NAMES:
        return "its body is missing, and only those of signed transactions are withheld"
    if sha256(previous + bytes.fromhex(shown["bodyHash"])).digest() != digest:
        return "its hash is not that of bodyHash and the hash before: nothing before it is proved"
    return None
