"""Answers as JSON bytes."""

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
    """An answer with this content."""
    return web.Response(
        body=_to_json(content), status=status, headers=JSON if headers is None else JSON | headers
    )


def order(order: Order, explorer: str) -> web.Response:
    """An order as it is now. Its ETag is its version, such as PATCH expects in If-Match."""
    return json_response(order_view(order, explorer), headers={"ETag": f'"{order.version}"'})


def accepted(order_id: str) -> web.Response:
    """The order is in the log, durably."""
    return web.Response(body=accepted_body(order_id, "pending"), status=202, headers=JSON)


def replayed(order_id: str, status: str) -> web.Response:
    """The key names an order already: that one, as it is now."""
    headers = JSON | {"Idempotent-Replayed": "true"}
    return web.Response(body=accepted_body(order_id, status), status=200, headers=headers)


def accepted_body(order_id: str, status: str) -> bytes:
    """The answer to a submission."""
    return (_ACCEPTED % (order_id, status, order_id, order_id, order_id)).encode()
