"""The payload of `TransactionRecovered`."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import Meta

from events.types import TransactionRecovered
from projections.views.payloads.base import Payload


class TransactionRecoveredPayload(Payload):
    """Adds by which transaction an operator closes a parked order, why and who."""

    signature: str
    reason: str
    actor: str
    dex: str | None
    pool: str | None
    others: Annotated[list[str], Meta(description="Further transactions that executed the order.")]

    @classmethod
    def from_event(cls, fact: TransactionRecovered) -> Self:
        """See Payload."""
        return cls(
            signature=fact.signature,
            reason=fact.reason,
            actor=fact.actor,
            dex=fact.dex or None,
            pool=fact.pool or None,
            others=list(fact.others),
        )
