"""What each route of `app` promises: one table, from which the documents are made.

What each asks of a key is the table of `authorization`. Rule of this file: pure. Parameters are
the tables that `parameters` checks them by, bodies are made from those of `order_request`, codes
are of `problems`. The test suite holds every request and answer that passes a gateway against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.http.problems import CODES
from gateway.middleware.authorization import Permission
from gateway.parsing import parameters
from gateway.parsing.order_request import IDEMPOTENCY_KEY
from gateway.parsing.traceparent import TRACEPARENT
from gateway.schemas import response_schemas
from gateway.schemas.request_schemas import QUOTE_PARAMETERS
from projections.views.schemas import Order, Shape

HISTORY = "History"
"""The one answer whose shape is made of the frames."""

HTML = "text/html"
METRICS = "text/plain"
STREAM = "text/event-stream"
JSON = "application/json"

GUARDED = ("unauthenticated", "scope-missing", "rate-limited", "log-unavailable")
"""Codes that whoever asks for something with a scope may get; the last one where the keys were not
read yet."""

COMMON_PROBLEMS = (
    "not-found", "method-not-allowed", "host-forbidden", "origin-forbidden", "malformed-request",
    "headers-too-large", "internal",
)  # fmt: skip
"""Codes that whoever asks for anything may get; the first two are of no route."""

_FORM = (
    "unsupported-media-type", "payload-too-large", "malformed-json", "json-too-deep", "wrong-type",
    "missing-field", "unknown-field", "duplicate-field", "too-many-fields", "request-timeout",
)  # fmt: skip
_ORDER = (
    "field-not-allowed", "exclusive-fields", "unsupported-time-in-force", "unsupported-swap-mode",
    "unsupported-type", "unknown-token", "same-token", "amount-malformed", "amount-not-positive",
    "amount-too-large", "too-many-decimals", "price-malformed", "price-not-positive",
    "price-out-of-range", "slippage-out-of-range", "malformed-time", "expires-at-past",
    "malformed-client-order-id",
)  # fmt: skip
_TAKEN = (
    "malformed-idempotency-key", "idempotency-conflict", "log-unavailable", "suspended", "log-full",
    "outcome-unknown",
)  # fmt: skip
_LOOKUP = ("malformed-order-id", "unknown-order", "malformed-parameter", "unreadable-order")
_READ = ("log-unavailable", "archive-unavailable")
_ACT = (*_READ, "outcome-unknown", "suspended")
_AMEND = (
    "field-not-allowed", "price-malformed", "price-not-positive", "price-out-of-range",
    "too-many-decimals", "malformed-time", "expires-at-past", "malformed-version",
    "malformed-text", "not-watching", "version-conflict",
)  # fmt: skip
_SWITCHED = (
    "malformed-text", "malformed-parameter", "version-conflict", "log-unavailable",
    "outcome-unknown",
)  # fmt: skip
_PARKED = (
    *_FORM, *_LOOKUP, *_READ, "malformed-text", "outcome-unknown", "history-lost", "not-parked",
)  # fmt: skip
_SOCKET = ("upgrade-required", "malformed-parameter", "log-unavailable", "too-many-connections")


class Header(NamedTuple):
    """A header of a request or an answer."""

    name: str
    description: str


class Answer(NamedTuple):
    """What comes with a status that is no problem."""

    description: str
    shape: type[Shape] | str | None = None
    headers: tuple[Header, ...] = ()
    media: str = JSON
    """Empty where there is no body."""
    kind: str = "object"
    others: tuple[str, ...] = ()
    """Media of texts that may come instead."""


class Operation(NamedTuple):
    """What a route promises."""

    tag: str
    summary: str
    answers: Mapping[int, Answer]
    codes: tuple[str, ...] = ()
    """Besides those of `COMMON_PROBLEMS`."""
    query: parameters.Table | None = parameters.NONE
    """None: parameters are not looked at."""
    required: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    body: str = ""
    """Name of one of `bodies.body_schemas`."""
    channel: str = ""
    """Of a WebSocket: its name in the other document."""

    def problems(self, permission: Permission) -> dict[int, list[str]]:
        """The codes that it may answer, by status."""
        by_status: dict[int, list[str]] = {}
        guarded = () if permission.public else GUARDED
        for code in dict.fromkeys((*self.codes, *guarded, *COMMON_PROBLEMS[2:])):
            by_status.setdefault(CODES[code][0], []).append(code)
        return dict(sorted(by_status.items()))


_TRACE = Header(TRACEPARENT, "W3C Trace Context: the order's own trace links to it")
_KEY = Header(IDEMPOTENCY_KEY, "The same request under the same key is taken once")
_REPLAYED = Header("Idempotent-Replayed", "`true`")
_FILE = Header("Content-Disposition", "Under which name to keep it")
_ETAG = Header("ETag", "The order's version, such as If-Match takes")
_LAST_ID = Header("Last-Event-ID", "Of a stream: the `id` that came last, to continue after it")
_ORDER_NOW = Answer("The order as it is now", Order, (_ETAG,))
_SWITCH = Answer("Frames follow: see /asyncapi.json", media="")
_STATE = Answer("The engine's state", response_schemas.EngineState)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/api/orders/execute"): Operation(
        "orders",
        "Submit an order",
        {
            202: Answer("The order is in the log, durably", response_schemas.Accepted),
            200: Answer(
                "The key names an order already: this one", response_schemas.Accepted, (_REPLAYED,)
            ),
        },
        (*_FORM, *_ORDER, *_TAKEN, "unreadable-order", "archive-unavailable"),
        query=None,
        headers=(_KEY, _TRACE),
        body="OrderRequest",
    ),
    ("GET", "/api/orders/execute"): Operation(
        "sockets",
        "Follow single orders (WebSocket)",
        {101: _SWITCH},
        (*_SOCKET, "malformed-order-id", "unknown-order"),
        query=parameters.FOLLOW,
        channel="orders",
    ),
    ("POST", "/api/orders/batch"): Operation(
        "orders",
        "Submit up to 500 orders",
        {
            202: Answer(
                "One result an order; all good ones are in the log", response_schemas.BatchResults
            )
        },
        (*_FORM, *_TAKEN, "batch-size"),
        query=None,
        headers=(_KEY, _TRACE),
        body="BatchRequest",
    ),
    ("GET", "/api/orders"): Operation(
        "orders",
        "List orders, the newest first",
        {200: Answer("A page", response_schemas.Orders)},
        ("malformed-parameter", "malformed-cursor", "archive-unavailable"),
        query=parameters.LIST,
    ),
    ("DELETE", "/api/orders"): Operation(
        "orders",
        "Cancel many orders",
        {200: Answer("One result an order that was found", response_schemas.CancelResults)},
        (
            "malformed-parameter",
            "filter-required",
            "malformed-cursor",
            "log-unavailable",
            "suspended",
        ),
        query=parameters.CANCEL_MANY,
    ),
    ("GET", "/api/orders/{id}"): Operation(
        "orders",
        "Read an order",
        {200: _ORDER_NOW},
        (*_LOOKUP, *_READ),
    ),
    ("PATCH", "/api/orders/{id}"): Operation(
        "orders",
        "Amend an order that waits",
        {200: _ORDER_NOW},
        (*_FORM, *_LOOKUP, *_ACT, *_AMEND),
        headers=(Header("If-Match", "The order's version, instead of the field `version`"),),
        body="AmendRequest",
    ),
    ("DELETE", "/api/orders/{id}"): Operation(
        "orders",
        "Cancel an order",
        {200: Answer("It is cancelled, now or before", response_schemas.Cancelled)},
        (*_LOOKUP, *_ACT, "too-late", "version-conflict"),
        query=parameters.CANCEL_PARAMETERS,
    ),
    ("GET", "/api/orders/{id}/events"): Operation(
        "orders",
        "Read an order's history",
        {
            200: Answer(
                "Every event, as subscribers see it; a stream with `Accept: text/event-stream`",
                HISTORY,
                others=(STREAM,),
            ),
            204: Answer("A stream that had come to its end", media=""),
        },
        (*_LOOKUP[:3], *_READ, "history-lost", "malformed-cursor"),
        headers=(_LAST_ID,),
    ),
    ("GET", "/api/events"): Operation(
        "sockets",
        "Follow everything (WebSocket, or Server-Sent Events)",
        {
            101: _SWITCH,
            200: Answer("The same frames, with `Accept: text/event-stream`", media=STREAM),
        },
        (*_SOCKET, "malformed-order-id", "malformed-cursor"),
        headers=(_LAST_ID,),
        query=parameters.FEED,
        channel="events",
    ),
    ("GET", "/api/quotes"): Operation(
        "orders",
        "What an order would be routed by, without an order",
        {200: Answer("Every route, the best one and why it is", response_schemas.QuotesAnswer)},
        ("missing-parameter", "malformed-parameter", "venues-unavailable"),
        query=QUOTE_PARAMETERS,
        required=parameters.QUOTE_REQUIRED,
    ),
    ("POST", "/api/admin/halt"): Operation(
        "engine",
        "Halt: nothing is sent, no trigger fires",
        {200: _STATE},
        (*_FORM, *_SWITCHED),
        body="HaltRequest",
    ),
    ("POST", "/api/admin/resume"): Operation(
        "engine",
        "Resume what a halt stopped",
        {200: _STATE},
        (*_FORM, *_SWITCHED),
        body="ResumeRequest",
    ),
    ("POST", "/api/admin/parked/{id}/settle"): Operation(
        "engine",
        "Settle a parked order by the chain's record of its transaction",
        {200: _ORDER_NOW},
        (*_PARKED, "not-settled"),
        body="SettleRequest",
    ),
    ("POST", "/api/admin/parked/{id}/requeue"): Operation(
        "engine",
        "Put a parked order back to work",
        {200: _ORDER_NOW},
        _PARKED,
        body="ParkedRequest",
    ),
    ("POST", "/api/admin/parked/{id}/discard"): Operation(
        "engine",
        "Fail a parked order of which no transaction can land",
        {200: _ORDER_NOW},
        _PARKED,
        body="ParkedRequest",
    ),
    ("GET", "/api/audit/orders/{id}"): Operation(
        "audit",
        "Read an order as it was",
        {200: Answer("As of that moment", response_schemas.OrderAt)},
        (*_LOOKUP, *_READ, "history-lost"),
        query=parameters.AT,
    ),
    ("GET", "/api/audit/orders/{id}/proof"): Operation(
        "audit",
        "Take the proof of an order's chain away",
        {
            200: Answer(
                "A document that can be checked without us", response_schemas.Proof, (_FILE,)
            )
        },
        (*_LOOKUP, *_READ, "history-lost"),
    ),
    ("GET", "/api/audit/state"): Operation(
        "audit",
        "Count the orders in each status at a moment",
        {200: Answer("As of that moment", response_schemas.StateAt)},
        ("malformed-parameter", "archive-unavailable", "audit-busy"),
        query=parameters.AT,
    ),
    ("GET", "/api/audit/verify"): Operation(
        "audit",
        "Verify all records",
        {
            200: Answer(
                "Events `progress` {done, of}, at last `verdict` {sound, firstBadPosition, …},"
                " `fault` or `close`",
                media=STREAM,
            )
        },
        ("malformed-parameter", "archive-unavailable", "audit-busy"),
    ),
    ("GET", "/healthz"): Operation(
        "engine",
        "Whether the process lives",
        {200: Answer("It does", response_schemas.Alive)},
        query=None,
    ),
    ("GET", "/readyz"): Operation(
        "engine",
        "Whether orders can be taken, and how far each part is behind",
        {
            200: Answer(
                "Orders are accepted; `reasons` names what is wrong", response_schemas.Readiness
            ),
            503: Answer("No order can be taken now", response_schemas.Readiness),
        },
        query=None,
    ),
    ("GET", "/metrics"): Operation(
        "engine",
        "What the engine counts and measures, for Prometheus",
        {200: Answer("Its text format", media=METRICS, kind="string")},
        query=None,
    ),
    ("GET", "/api/tokens"): Operation(
        "orders",
        "What can be traded",
        {200: Answer("Tokens", response_schemas.Tokens)},
        query=None,
    ),
    ("GET", "/"): Operation(
        "documents",
        "The console for browsers, links for programs",
        {
            200: Answer("Links", response_schemas.Index, others=(HTML,)),
            304: Answer("The page is as it was", media=""),
        },
        query=None,
    ),
    ("GET", "/static/{name}"): Operation(
        "documents",
        "A file of the console",
        {
            200: Answer(
                "It",
                media=HTML,
                kind="string",
                others=("text/css", "text/javascript", "image/svg+xml"),
            ),
            304: Answer("It is as it was", media=""),
        },
        ("not-found",),
        query=None,
    ),
    ("GET", "/openapi.json"): Operation(
        "documents",
        "This document",
        {200: Answer("OpenAPI 3.1")},
        query=None,
    ),
    ("GET", "/asyncapi.json"): Operation(
        "documents",
        "What the WebSockets say",
        {200: Answer("AsyncAPI 3")},
        query=None,
    ),
    ("GET", "/docs"): Operation(
        "documents",
        "Both documents for people",
        {200: Answer("A page", media=HTML, kind="string")},
        query=None,
    ),
}


def problem_of(codes: list[str]) -> dict[str, Any]:
    """The schema of a problem with one of these codes."""
    return {
        "$ref": "#/components/schemas/Problem",
        "type": "object",
        "properties": {"code": {"enum": codes}},
    }
