"""JSON responses."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from events.order import Order
from gateway.http.problems import SAFE
from projections.views.orders import order_view

JSON = {"Content-Type": "application/json", **SAFE}

_to_json = msgspec.json.Encoder().encode

_ACCEPTED = (
    '{"orderId":"%s","status":"%s","message":"Order submitted successfully","links":'
    '{"self":"/api/orders/%s","events":"/api/orders/%s/events",'
    '"stream":"/api/orders/execute?orderId=%s"}}'
)


def json_response(
    content: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """The response with this content."""
    return web.Response(
        body=_to_json(content), status=status, headers=JSON if headers is None else JSON | headers
    )


def order(order: Order, explorer: str, waiting: dict[str, Any] | None = None) -> web.Response:
    """The current order. Its ETag is its version, as PATCH expects it in If-Match."""
    view = order_view(order, explorer, waiting)
    return json_response(view, headers={"ETag": f'"{order.version}"'})


def accepted(order_id: str) -> web.Response:
    """The response to an order that is durably in the log."""
    return web.Response(body=accepted_body(order_id, "pending"), status=202, headers=JSON)


def replayed(order_id: str, status: str) -> web.Response:
    """The response to a retry: the first order, with its current status."""
    headers = JSON | {"Idempotent-Replayed": "true"}
    return web.Response(body=accepted_body(order_id, status), status=200, headers=headers)


def accepted_body(order_id: str, status: str) -> bytes:
    """The answer to a submission."""
    return (_ACCEPTED % (order_id, status, order_id, order_id, order_id)).encode()
