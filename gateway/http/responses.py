"""JSON responses."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from events.order import Order
from gateway.http.problems import SAFE, to_json
from projections.views.orders import order_view

REPLAYED = {"Idempotent-Replayed": "true"}
"""Header of an answer to a retry: nothing was done now that was not done before."""
JSON = {"Content-Type": "application/json", **SAFE}

_ACCEPTED = (
    '{"orderId":"%s","status":"%s","message":"Order submitted successfully","links":'
    '{"self":"/api/orders/%s","events":"/api/orders/%s/events",'
    '"stream":"/api/orders/execute?orderId=%s"}}\n'
)


def json_response(
    content: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """The response with this content."""
    return web.Response(
        body=to_json(content), status=status, headers=JSON if headers is None else JSON | headers
    )


def order(order: Order, explorer: str, waiting: dict[str, Any] | None = None) -> web.Response:
    """The current order. Its ETag is its version, as PATCH expects it in If-Match."""
    view = order_view(order, explorer, waiting)
    return json_response(view, headers={"ETag": f'"{order.version}"'})


def accepted(order_id: str) -> web.Response:
    """The response to an order that is durably in the log."""
    body = accepted_body(order_id, "pending")
    return web.Response(body=body, status=202, headers=JSON | _location(order_id))


def replayed(order_id: str, status: str) -> web.Response:
    """The response to a retry: the first order, with its current status."""
    headers = JSON | REPLAYED | _location(order_id)
    return web.Response(body=accepted_body(order_id, status), status=200, headers=headers)


def accepted_body(order_id: str, status: str) -> bytes:
    """The answer to a submission."""
    return (_ACCEPTED % (order_id, status, order_id, order_id, order_id)).encode()


def _location(order_id: str) -> dict[str, str]:
    return {"Location": f"/api/orders/{order_id}"}
