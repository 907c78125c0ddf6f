"""The public view of `OrderTriggered`."""

from __future__ import annotations

from events.money import to_tokens
from events.types import OrderTriggered
from projections.views.enums import TriggerCause
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Amount, Count, Price


class OrderTriggeredPayload(Payload):
    """Adds the tick or the pool event that triggered the order."""

    cause: TriggerCause
    dex: str
    pool: str
    slot: Count
    price: Price
    liquidity: Amount | None


def _payload(fact: OrderTriggered) -> OrderTriggeredPayload:
    return OrderTriggeredPayload(
        cause=fact.cause,
        dex=fact.dex,
        pool=fact.pool,
        slot=fact.slot,
        price=fact.price,
        liquidity=to_tokens(fact.liquidity, fact.decimals_in) if fact.liquidity else None,
    )


def _lines(fact: OrderTriggered) -> list[str]:
    text = f"{fact.cause} in slot {fact.slot}: {fact.dex} pays {fact.price}"
    if fact.liquidity:
        text += f", liquidity {to_tokens(fact.liquidity, fact.decimals_in)}"
    return [text]


VIEW = EventView(
    OrderTriggered,
    OrderTriggeredPayload,
    _payload,
    _lines,
    label="Triggered",
    writer="watcher",
)
