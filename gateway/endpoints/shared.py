"""Problem codes, headers and responses that several endpoints share."""

from __future__ import annotations

from gateway.endpoints.endpoint import LAST_EVENT_ID, Header, Response
from gateway.parsing.order_request import IDEMPOTENCY_KEY
from gateway.parsing.traceparent import TRACEPARENT
from projections.views.schemas import Order

FORM = (
    "unsupported-media-type", "payload-too-large", "malformed-json", "json-too-deep", "wrong-type",
    "missing-field", "unknown-field", "duplicate-field", "too-many-fields", "request-timeout",
)  # fmt: skip
"""Of requests with a body."""
TAKEN = (
    "malformed-idempotency-key", "idempotency-conflict", "log-unavailable", "suspended", "log-full",
    "outcome-unknown",
)  # fmt: skip
"""Of endpoints that create orders."""
TESTED = (
    "malformed-idempotency-key", "venues-unavailable", "log-unavailable", "suspended", "log-full",
)  # fmt: skip
"""Of the endpoint that tests an order."""
LOOKUP = ("malformed-order-id", "unknown-order", "malformed-parameter", "unreadable-order")
"""Of endpoints with an order in their path."""
READ = ("log-unavailable", "archive-unavailable")
"""Of endpoints that read both stores."""
ACT = (*READ, "outcome-unknown", "suspended")
"""Of endpoints that change an order."""
SOCKET = ("upgrade-required", "malformed-parameter", "log-unavailable", "too-many-connections")
"""Of WebSockets."""

KEY = Header(IDEMPOTENCY_KEY, "The same request under the same key is taken once", "4f1c2a")
TESTED_KEY = Header(IDEMPOTENCY_KEY, "Only its form is tested; it is not used", "4f1c2a")
TRACE = Header(
    TRACEPARENT,
    "W3C Trace Context: the order's own trace links to it",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
LAST_ID = Header(
    LAST_EVENT_ID, "Of a stream: the `id` that came last, to continue after it", "e1.p0.7"
)
_ETAG = Header("ETag", "The order's version, such as If-Match takes", '"7"')

ORDER_NOW = Response("The order as it is now", Order, (_ETAG,))
SWITCH = Response("Frames follow: see /asyncapi.json", media="")
