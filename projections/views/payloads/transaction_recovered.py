"""The public view of `TransactionRecovered`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from events.types import TransactionRecovered
from projections.views.payloads.base import EventView, Payload


class TransactionRecoveredPayload(Payload):
    """Adds the transaction that closes a parked order, the reason and the operator."""

    signature: str
    reason: str
    actor: str
    dex: str | None
    pool: str | None
    others: Annotated[list[str], Meta(description="Further transactions that executed the order.")]


def _payload(fact: TransactionRecovered) -> TransactionRecoveredPayload:
    return TransactionRecoveredPayload(
        signature=fact.signature,
        reason=fact.reason,
        actor=fact.actor,
        dex=fact.dex or None,
        pool=fact.pool or None,
        others=list(fact.others),
    )


def _lines(fact: TransactionRecovered) -> list[str]:
    others = f"; executed by {', '.join(fact.others)} too" if fact.others else ""
    return [f"{fact.signature}: {fact.reason}, by {fact.actor}{others}"]


VIEW = EventView(
    TransactionRecovered,
    TransactionRecoveredPayload,
    _payload,
    _lines,
    label="Settled by the chain's record",
)
