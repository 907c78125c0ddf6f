"""The public view of `TransactionBuilt`."""

from __future__ import annotations

from events.types import TransactionBuilt
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count


class TransactionBuiltPayload(Payload):
    """Adds the signature of the transaction and its last valid block height."""

    signature: str
    last_valid_height: Count
    attempt: Count


def _payload(fact: TransactionBuilt) -> TransactionBuiltPayload:
    return TransactionBuiltPayload(
        signature=fact.signature,
        last_valid_height=fact.last_valid_height,
        attempt=fact.attempt,
    )


def _lines(fact: TransactionBuilt) -> list[str]:
    valid = f"valid to height {fact.last_valid_height}"
    return [f"attempt {fact.attempt}, signature {fact.signature}, {valid}"]


VIEW = EventView(
    TransactionBuilt,
    TransactionBuiltPayload,
    _payload,
    _lines,
    label="Transaction built",
    writer="builder",
)
