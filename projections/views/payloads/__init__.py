"""The public view of each event: what its frame adds, with its schema, and its summary.

One file an event; its struct, transitions and fold are in the file of the same name in
`events/order/events` or `events/streams/events`. Pure. Imports `events` and the schemas of views.
Public: `VIEWS`, `PAYLOADS`, `Payload`.
"""

from __future__ import annotations

from typing import Any

from events.types import FACTS, Fact
from projections.views.payloads import (
    attempt_failed,
    engine_halted,
    engine_resumed,
    key_created,
    key_revoked,
    key_rotated,
    order_amended,
    order_armed,
    order_cancelled,
    order_confirmed,
    order_expired,
    order_failed,
    order_parked,
    order_rearmed,
    order_requeued,
    order_routed,
    order_submitted,
    order_triggered,
    routing_started,
    transaction_built,
    transaction_expired,
    transaction_in_doubt,
    transaction_recovered,
    transaction_submitted,
)
from projections.views.payloads.base import EventView, Payload
from projections.views.payloads.order_confirmed import OrderConfirmedPayload

_VIEWS: tuple[EventView[Any], ...] = (
    order_submitted.VIEW,
    routing_started.VIEW,
    order_routed.VIEW,
    transaction_built.VIEW,
    transaction_submitted.VIEW,
    transaction_expired.VIEW,
    transaction_in_doubt.VIEW,
    order_confirmed.VIEW,
    order_failed.VIEW,
    order_expired.VIEW,
    attempt_failed.VIEW,
    order_parked.VIEW,
    order_requeued.VIEW,
    transaction_recovered.VIEW,
    order_armed.VIEW,
    order_triggered.VIEW,
    order_rearmed.VIEW,
    order_amended.VIEW,
    order_cancelled.VIEW,
    engine_halted.VIEW,
    engine_resumed.VIEW,
    key_created.VIEW,
    key_rotated.VIEW,
    key_revoked.VIEW,
)

VIEWS: dict[type[Fact], EventView[Any]] = {view.fact: view for view in _VIEWS}

assert VIEWS.keys() == set(FACTS.values()), "every event has its public view"

PAYLOADS: dict[type[Fact], type[Payload]] = {fact: view.payload for fact, view in VIEWS.items()}
"""What the frame of each event adds."""

__all__ = ["PAYLOADS", "VIEWS", "EventView", "OrderConfirmedPayload", "Payload"]
