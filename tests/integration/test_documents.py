"""The gateway serves its documents, and the tests notice what they do not say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from aiohttp import web

from events.types import RoutingStarted
from gateway.api import orders
from gateway.endpoints.endpoint import Endpoint
from gateway.endpoints.table import ENDPOINTS
from gateway.http import responses
from gateway.http.problem_codes import CODES
from gateway.middleware.authorization import PUBLIC
from gateway.parsing.order_request import parse_order
from gateway.parsing.parameter_tables import LIST
from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi
from projections.feed import frames
from projections.views.orders import event_frame, order_view
from tests.support.http.served import Served, served


async def test_both_documents_are_served_and_every_route_is_in_them(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        assert await gateway.get("/openapi.json") == (200, openapi())
        assert (await gateway.get("/asyncapi.json"))[1]["channels"].keys() == {"orders", "events"}
        assert asyncapi()["asyncapi"].startswith("3.")
        assert gateway.runner.app is not None
        routes = {
            (route.method, re.sub(r":[^}]*}", "}", route.resource.canonical))
            for route in gateway.runner.app.router.routes()
            if route.method != "*" and route.resource is not None
        }
    assert routes == {(m, e.path) for e in ENDPOINTS.values() for m in e.methods}


async def test_the_page_is_served_under_a_strict_policy(redis_url: str) -> None:
    async with served(redis_url) as gateway, gateway.http.get(f"{gateway.url}/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "POST /api/orders/execute" in await answer.text()


def _more(view: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: view(*args) | {"secret": 1}


async def _read_order(gateway: Served) -> None:
    await gateway.get(f"/api/orders/{await gateway.accepted()}")


async def _odd_code(gateway: Served) -> None:
    await gateway.post({"tokenIn": "SOL"})


def _encoded(show: Callable[..., Any]) -> Callable[..., bytes]:
    return lambda *args: msgspec.json.encode(show(*args))


async def _odd_parameter(gateway: Served) -> None:
    await gateway.get("/api/orders?colour=red")


async def _odd_field(gateway: Served) -> None:
    await gateway.accepted(colour="red")


async def _frames(gateway: Served) -> None:
    order_id = await gateway.accepted()
    await gateway.append(order_id, RoutingStarted())
    async with gateway.http.ws_connect(f"{gateway.url}/api/events?after=0") as socket:
        await socket.receive_json()


@pytest.mark.parametrize(
    ("broken", "act", "text"),
    [
        (lambda: patch.object(responses, "order_view", _more(order_view)), _read_order,
         "'secret' was unexpected"),
        (lambda: patch.dict(CODES, {"missing-field": (418, "Teapot")}), _odd_code,
         "an undocumented status"),
        (lambda: patch("gateway.parsing.parameters.LIST", {**LIST, "colour": {}}),
         _odd_parameter, "an undocumented parameter: colour"),
        (lambda: patch.object(orders, "parse_order", _any_order), _odd_field,
         "is not valid under any of the given schemas"),
        (lambda: patch.object(frames, "event_json", _encoded(_more(event_frame))), _frames,
         "frame of /api/events"),
    ],
    ids=["field", "status", "parameter", "body", "frame"],
)  # fmt: skip
async def test_traffic_outside_the_documents_fails_the_test(
    redis_url: str, broken: Callable[[], Any], act: Callable[[Served], Any], text: str
) -> None:
    openapi()  # made of the code as it is
    with pytest.raises(AssertionError) as error, broken():
        async with served(redis_url) as gateway:
            await act(gateway)
    assert "against the documents:" in str(error.value)
    assert text in str(error.value)


def _any_order(fields: Any, *args: Any, **options: Any) -> Any:
    known = {name: raw for name, raw in fields.items() if name != "colour"}
    return parse_order(known, *args, **options)


async def test_a_route_that_no_document_has_fails_the_test(redis_url: str) -> None:
    async def hidden(_: web.Request) -> web.Response:
        return web.json_response({})

    endpoint = Endpoint(
        "GET",
        "/hidden",
        lambda _: hidden,
        PUBLIC,
        operation_id="listThings",
        tag="engine",
        summary="Hidden",
        description="Lists them.",
        responses={},
    )
    openapi()  # made of the endpoints as they are
    text = "GET /hidden 200: an undocumented route"
    with (
        pytest.raises(AssertionError, match=text),
        patch.dict(ENDPOINTS, {endpoint.key: endpoint}),
    ):
        async with served(redis_url) as gateway:
            await gateway.get("/hidden")
