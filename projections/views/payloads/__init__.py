"""What each event adds to its frame: one file an event, one struct for the JSON and its schema.

Rule of this package: pure. A payload is made by `from_event` and by nothing else, so that what is
sent and what is documented cannot differ. Imports `events` and the schemas beside it. Public:
`PAYLOADS`, `Payload`.
"""

from __future__ import annotations

from events import types as t
from projections.views.payloads.attempt_failed import AttemptFailedPayload
from projections.views.payloads.base import Payload
from projections.views.payloads.key_created import KeyCreatedPayload
from projections.views.payloads.key_revoked import KeyRevokedPayload
from projections.views.payloads.key_rotated import KeyRotatedPayload
from projections.views.payloads.order_amended import OrderAmendedPayload
from projections.views.payloads.order_armed import OrderArmedPayload
from projections.views.payloads.order_confirmed import OrderConfirmedPayload
from projections.views.payloads.order_expired import OrderExpiredPayload
from projections.views.payloads.order_failed import OrderFailedPayload
from projections.views.payloads.order_parked import OrderParkedPayload
from projections.views.payloads.order_rearmed import OrderRearmedPayload
from projections.views.payloads.order_routed import OrderRoutedPayload
from projections.views.payloads.order_submitted import OrderSubmittedPayload
from projections.views.payloads.order_triggered import OrderTriggeredPayload
from projections.views.payloads.reason_and_actor import ReasonAndActorPayload
from projections.views.payloads.routing_started import RoutingStartedPayload
from projections.views.payloads.transaction_built import TransactionBuiltPayload
from projections.views.payloads.transaction_expired import TransactionExpiredPayload
from projections.views.payloads.transaction_in_doubt import TransactionInDoubtPayload
from projections.views.payloads.transaction_recovered import TransactionRecoveredPayload
from projections.views.payloads.transaction_submitted import TransactionSubmittedPayload

PAYLOADS: dict[type[t.Fact], type[Payload]] = {
    t.OrderSubmitted: OrderSubmittedPayload,
    t.RoutingStarted: RoutingStartedPayload,
    t.OrderRouted: OrderRoutedPayload,
    t.TransactionBuilt: TransactionBuiltPayload,
    t.TransactionSubmitted: TransactionSubmittedPayload,
    t.TransactionExpired: TransactionExpiredPayload,
    t.TransactionInDoubt: TransactionInDoubtPayload,
    t.OrderConfirmed: OrderConfirmedPayload,
    t.OrderFailed: OrderFailedPayload,
    t.OrderExpired: OrderExpiredPayload,
    t.AttemptFailed: AttemptFailedPayload,
    t.OrderParked: OrderParkedPayload,
    t.OrderRequeued: ReasonAndActorPayload,
    t.TransactionRecovered: TransactionRecoveredPayload,
    t.OrderArmed: OrderArmedPayload,
    t.OrderTriggered: OrderTriggeredPayload,
    t.OrderRearmed: OrderRearmedPayload,
    t.OrderAmended: OrderAmendedPayload,
    t.OrderCancelled: ReasonAndActorPayload,
    t.EngineHalted: ReasonAndActorPayload,
    t.EngineResumed: ReasonAndActorPayload,
    t.KeyCreated: KeyCreatedPayload,
    t.KeyRotated: KeyRotatedPayload,
    t.KeyRevoked: KeyRevokedPayload,
}

assert PAYLOADS.keys() == set(t.FACTS.values()), "every event has its payload"

__all__ = ["PAYLOADS", "OrderConfirmedPayload", "Payload"]
