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
    TESTED,
    TESTED_KEY,
    TRACE,
)
from gateway.middleware.authorization import Budget, Permission, Reach
from gateway.parsing.parameter_tables import CANCEL_MANY, CANCEL_PARAMETERS, FOLLOW, LIST, RESUME
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
_REPLAYED = Header("Idempotent-Replayed", "`true`", "true")
_LOCATION = Header(
    "Location", "Where the order is read", "/api/orders/01a21e50-41f2-7000-9b84-c17e942321be"
)

_HISTORY = (*LOOKUP[:3], *READ, "history-lost", "malformed-cursor")

ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/orders/execute",
        lambda handlers: handlers.orders.submit,
        Permission("trade", Reach.CREATED),
        operation_id="submitOrder",
        tag="orders",
        summary="Submit an order",
        description="Submits one order. 202 means that it is durably in the log. With an"
        " Idempotency-Key or a `clientOrderId` the request can be repeated safely:"
        " the order is taken once.",
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
        operation_id="followOrders",
        tag="sockets",
        summary="Follow single orders (WebSocket)",
        description="Opens a WebSocket that shows the history of each order that is followed,"
        " then its events live.",
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
        operation_id="submitBatch",
        tag="orders",
        summary="Submit up to 500 orders",
        description="Submits several orders in one append. Each is validated alone, and has its"
        " own result.",
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
        "POST",
        "/api/orders/test",
        lambda handlers: handlers.quotes.test,
        Permission("trade", Reach.NONE),
        operation_id="testOrder",
        tag="orders",
        summary="Test an order without submitting it",
        description="Validates an order as `submitOrder` does, asks every route for it, and"
        " answers what the router would decide now. Nothing is appended to the log. Limit and"
        " sniper orders are judged as if they were triggered now. Of an idempotency"
        " key only the form is tested. Balances and the simulation of the transaction are not.",
        responses={200: Response("What would become of it now", response_schemas.OrderTest)},
        problems=(*FORM, *_ORDER, *TESTED),
        query=None,
        headers=(TESTED_KEY,),
        body="OrderRequest",
    ),
    Endpoint(
        "GET",
        "/api/orders",
        lambda handlers: handlers.order_reads.list,
        Permission("read", Reach.LISTED),
        operation_id="listOrders",
        tag="orders",
        summary="List orders",
        description="Lists orders that match all filters, a page at a time. It is read from the"
        " archive, which may be behind the log by the lag of the projection.",
        responses={200: Response("A page", response_schemas.Orders)},
        problems=("malformed-parameter", "malformed-cursor", "archive-unavailable"),
        query=LIST,
    ),
    Endpoint(
        "DELETE",
        "/api/orders",
        lambda handlers: handlers.commands.cancel_many,
        Permission("cancel", Reach.LISTED, Budget.CANCEL_MANY),
        operation_id="cancelOrders",
        tag="orders",
        summary="Cancel many orders",
        description="Cancels all open orders that match the filters, a page at a time. Without a"
        " filter, `all=true` is required.",
        responses={
            200: Response("One result for each matching order", response_schemas.CancelResults)
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
        "/api/orders/by-client-id/{clientOrderId}",
        lambda handlers: handlers.order_reads.read_by_client_id,
        Permission("read", Reach.NAMED),
        operation_id="getOrderByClientId",
        tag="orders",
        summary="Read an order by the client's own name for it",
        description="Reads the order with this `clientOrderId` of the key's own account from the"
        " log's index of names, as soon as it is accepted; else the newest one with it that the"
        " key may see, from the archive.",
        responses={200: ORDER_NOW},
        problems=(
            "malformed-client-order-id",
            "unknown-order",
            "malformed-parameter",
            "unreadable-order",
            *READ,
        ),
    ),
    Endpoint(
        "GET",
        "/api/orders/{id}",
        lambda handlers: handlers.order_reads.read,
        Permission("read", Reach.IN_PATH),
        operation_id="getOrder",
        tag="orders",
        summary="Read an order",
        description="Reads an order from the log or, once it is removed there, from the archive.",
        responses={200: ORDER_NOW},
        problems=(*LOOKUP, *READ),
    ),
    Endpoint(
        "PATCH",
        "/api/orders/{id}",
        lambda handlers: handlers.commands.amend,
        Permission("trade", Reach.IN_PATH),
        operation_id="amendOrder",
        tag="orders",
        summary="Amend an order that waits",
        description="Changes the target price or the expiry of an order that waits, if it is at"
        " the version named.",
        responses={200: ORDER_NOW},
        problems=(*FORM, *LOOKUP, *ACT, *_AMEND),
        headers=(Header("If-Match", "The order's version, instead of the field `version`", '"2"'),),
        body="AmendRequest",
    ),
    Endpoint(
        "DELETE",
        "/api/orders/{id}",
        lambda handlers: handlers.commands.cancel,
        Permission("cancel", Reach.IN_PATH, Budget.CANCEL),
        operation_id="cancelOrder",
        tag="orders",
        summary="Cancel an order",
        description="Cancels an order of which nothing was sent. Repeating it gives the same"
        " answer.",
        responses={200: Response("It is cancelled, now or before", response_schemas.Cancelled)},
        problems=(*LOOKUP, *ACT, "too-late", "version-conflict"),
        query=CANCEL_PARAMETERS,
    ),
    Endpoint(
        "GET",
        "/api/orders/{id}/events",
        lambda handlers: negotiate_event_stream(
            handlers.streams.order, handlers.order_reads.history
        ),
        Permission("read", Reach.IN_PATH),
        operation_id="getOrderHistory",
        tag="orders",
        summary="Read an order's history",
        description="Every event of the order, as subscribers see it. With `Accept:"
        " text/event-stream` the answer is the one of `streamOrderEvents`.",
        responses={200: Response("Every event, as subscribers see it", HISTORY)},
        problems=_HISTORY,
        other_media={STREAM: (200, 204)},
    ),
    Endpoint(
        "GET",
        "/api/orders/{id}/events/stream",
        lambda handlers: handlers.streams.order,
        Permission("read", Reach.IN_PATH),
        operation_id="streamOrderEvents",
        tag="sockets",
        summary="Stream an order's events (Server-Sent Events)",
        description="The history of the order, then its events live, until it ended. Send the `id`"
        " that came last as Last-Event-ID to continue after it.",
        responses={
            200: Response("Each event is a frame as JSON", media=STREAM),
            204: Response("The stream had come to its end", media=""),
        },
        problems=(*_HISTORY, "too-many-connections"),
        query=RESUME,
        headers=(LAST_ID,),
    ),
)
