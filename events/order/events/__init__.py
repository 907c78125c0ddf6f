"""The events of an order: one file an event, with its struct, its transitions and its fold.

Its public payload is in the file of the same name in `projections/views/payloads`. Pure. Imports
the state of an order and the values that events carry, and no table of transitions. Public:
`ORDER_EVENTS`, and the structs through `events.types`.
"""

from __future__ import annotations

from typing import Any

from events.order.events import (
    attempt_failed,
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
from events.order.order_event import OrderEvent

ORDER_EVENTS: tuple[OrderEvent[Any], ...] = (
    order_submitted.EVENT,
    routing_started.EVENT,
    order_routed.EVENT,
    transaction_built.EVENT,
    transaction_submitted.EVENT,
    transaction_expired.EVENT,
    transaction_in_doubt.EVENT,
    order_confirmed.EVENT,
    order_failed.EVENT,
    order_expired.EVENT,
    attempt_failed.EVENT,
    order_parked.EVENT,
    order_requeued.EVENT,
    transaction_recovered.EVENT,
    order_armed.EVENT,
    order_triggered.EVENT,
    order_rearmed.EVENT,
    order_amended.EVENT,
    order_cancelled.EVENT,
)
"""All events of orders, in the order in which they are documented."""
