"""Orders: submit, follow, list, read, amend, cancel."""

from __future__ import annotations

from gateway.endpoints.endpoint import HISTORY, STREAM, Endpoint, Header, Response
from gateway.endpoints.shared import (
    ACT,
    FORM,
    KEY,
    LAST_ID,
    LOOKUP,
    ORDER_NOW,
    READ,
    SOCKET,
    SWITCH,
    TAKEN,
    TRACE,
)
from gateway.middleware.authorization import Budget, Permission, Reach
from gateway.parsing.parameters import CANCEL_MANY, CANCEL_PARAMETERS, FOLLOW, LIST
from gateway.schemas import response_schemas
from gateway.streaming.sse import negotiate_event_stream

_ORDER = (
    "field-not-allowed", "exclusive-fields", "unsupported-time-in-force", "unsupported-swap-mode",
    "unsupported-type", "unknown-token", "same-token", "amount-malformed", "amount-not-positive",
    "amount-too-large", "too-many-decimals", "price-malformed", "price-not-positive",
    "price-out-of-range", "slippage-out-of-range", "malformed-time", "expires-at-past",
    "malformed-client-order-id",
)  # fmt: skip
_AMEND = (
    "field-not-allowed", "price-malformed", "price-not-positive", "price-out-of-range",
    "too-many-decimals", "malformed-time", "expires-at-past", "malformed-version",
    "malformed-text", "not-watching", "version-conflict",
)  # fmt: skip
_REPLAYED = Header("Idempotent-Replayed", "`true`")
_LOCATION = Header("Location", "Where the order is read")

ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/orders/execute",
        lambda handlers: handlers.orders.submit,
        Permission("trade", Reach.CREATED),
        tag="orders",
        summary="Submit an order",
        responses={
            202: Response(
                "The order is in the log, durably", response_schemas.Accepted, (_LOCATION,)
            ),
            200: Response(
                "The key names an order already: this one",
                response_schemas.Accepted,
                (_REPLAYED, _LOCATION),
            ),
        },
        problems=(*FORM, *_ORDER, *TAKEN, "unreadable-order", "archive-unavailable"),
        query=None,
        headers=(KEY, TRACE),
        body="OrderRequest",
    ),
    Endpoint(
        "GET",
        "/api/orders/execute",
        lambda handlers: handlers.sockets.execute,
        Permission("read", Reach.NAMED),
        tag="sockets",
        summary="Follow single orders (WebSocket)",
        responses={101: SWITCH},
        problems=(*SOCKET, "malformed-order-id", "unknown-order"),
        query=FOLLOW,
        channel="orders",
    ),
    Endpoint(
        "POST",
        "/api/orders/batch",
        lambda handlers: handlers.orders.submit_batch,
        Permission("trade", Reach.CREATED),
        tag="orders",
        summary="Submit up to 500 orders",
        responses={
            202: Response(
                "One result an order; all good ones are in the log", response_schemas.BatchResults
            ),
            200: Response(
                "The key names these orders already", response_schemas.BatchResults, (_REPLAYED,)
            ),
        },
        problems=(*FORM, *TAKEN, "batch-size"),
        query=None,
        headers=(KEY, TRACE),
        body="BatchRequest",
    ),
    Endpoint(
        "GET",
        "/api/orders",
        lambda handlers: handlers.orders.list,
        Permission("read", Reach.LISTED),
        tag="orders",
        summary="List orders, the newest first",
        responses={200: Response("A page", response_schemas.Orders)},
        problems=("malformed-parameter", "malformed-cursor", "archive-unavailable"),
        query=LIST,
    ),
    Endpoint(
        "DELETE",
        "/api/orders",
        lambda handlers: handlers.commands.cancel_many,
        Permission("cancel", Reach.LISTED, Budget.CANCEL_MANY),
        tag="orders",
        summary="Cancel many orders",
        responses={
            200: Response("One result an order that was found", response_schemas.CancelResults)
        },
        problems=(
            "malformed-parameter",
            "filter-required",
            "malformed-cursor",
            "log-unavailable",
            "suspended",
        ),
        query=CANCEL_MANY,
    ),
    Endpoint(
        "GET",
        "/api/orders/{id}",
        lambda handlers: handlers.orders.read,
        Permission("read", Reach.IN_PATH),
        tag="orders",
        summary="Read an order",
        responses={200: ORDER_NOW},
        problems=(*LOOKUP, *READ),
    ),
    Endpoint(
        "PATCH",
        "/api/orders/{id}",
        lambda handlers: handlers.commands.amend,
        Permission("trade", Reach.IN_PATH),
        tag="orders",
        summary="Amend an order that waits",
        responses={200: ORDER_NOW},
        problems=(*FORM, *LOOKUP, *ACT, *_AMEND),
        headers=(Header("If-Match", "The order's version, instead of the field `version`"),),
        body="AmendRequest",
    ),
    Endpoint(
        "DELETE",
        "/api/orders/{id}",
        lambda handlers: handlers.commands.cancel,
        Permission("cancel", Reach.IN_PATH, Budget.CANCEL),
        tag="orders",
        summary="Cancel an order",
        responses={200: Response("It is cancelled, now or before", response_schemas.Cancelled)},
        problems=(*LOOKUP, *ACT, "too-late", "version-conflict"),
        query=CANCEL_PARAMETERS,
    ),
    Endpoint(
        "GET",
        "/api/orders/{id}/events",
        lambda handlers: negotiate_event_stream(handlers.streams.order, handlers.orders.history),
        Permission("read", Reach.IN_PATH),
        tag="orders",
        summary="Read an order's history",
        responses={
            200: Response(
                "Every event, as subscribers see it; a stream with `Accept: text/event-stream`",
                HISTORY,
                others=(STREAM,),
            ),
            204: Response("A stream that had come to its end", media=""),
        },
        problems=(*LOOKUP[:3], *READ, "history-lost", "malformed-cursor"),
        headers=(LAST_ID,),
    ),
)
