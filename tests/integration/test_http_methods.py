"""HEAD, OPTIONS, Expect, Location, Server and CORS, as HTTP says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.endpoints.table import ENDPOINTS
from gateway.middleware.rate_limit import Rates
from tests.support.http.served import Served, served
from tests.support.waits import HANG_S

ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}
PAGE = "https://desk.example"
VARYING = ("date", "content-length", "x-request-id")
"""Headers that two answers may differ in: the body of /metrics and /readyz changes."""


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, origins=(PAGE,)) as gateway:
        yield gateway


def path_of(template: str, order_id: str) -> str:
    return template.replace("{id}", order_id).replace("{name}", "console.css")


async def answer(gateway: Served, method: str, path: str, **options: Any) -> Any:
    async with gateway.http.request(method, gateway.url + path, **options) as response:
        return response.status, dict(response.headers), await response.read()


READ = [endpoint for endpoint in ENDPOINTS.values() if "HEAD" in endpoint.methods]


def test_streams_alone_have_no_head() -> None:
    without = {e.path for e in ENDPOINTS.values() if e.method == "GET" and "HEAD" not in e.methods}
    assert without == {
        "/api/orders/execute",
        "/api/orders/{id}/events/stream",
        "/api/events",
        "/api/audit/verify",
    }


@pytest.mark.parametrize("endpoint", READ, ids=lambda endpoint: endpoint.path)
async def test_head_is_get_without_a_body(gateway: Served, endpoint: Any) -> None:
    order_id = await gateway.accepted()
    path = path_of(endpoint.path, order_id)
    if endpoint.path == "/api/quotes":
        path += "?tokenIn=SOL&tokenOut=USDC&amount=1"
    status, headers, _ = await answer(gateway, "GET", path)
    bare, head, body = await answer(gateway, "HEAD", path)
    assert (bare, body) == (status, b"")
    assert int(head["Content-Length"]) > 0
    if not endpoint.path.startswith("/static"):
        assert head["Cache-Control"] == "no-store", "a proxy must not serve an old state"
    assert {n: v for n, v in head.items() if n.lower() not in VARYING} == {
        n: v for n, v in headers.items() if n.lower() not in VARYING
    }


async def test_head_of_a_history_is_not_a_stream(gateway: Served) -> None:
    path = f"/api/orders/{await gateway.accepted()}/events"
    status, headers, _ = await answer(
        gateway, "HEAD", path, headers={"Accept": "text/event-stream"}
    )
    assert (status, headers["Content-Type"]) == (200, "application/json")


async def test_options_and_refused_methods_name_what_is_allowed(gateway: Served) -> None:
    for path, allow in (
        ("/api/orders", "GET, HEAD, DELETE, OPTIONS"),
        ("/api/events", "GET, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
    ):
        status, headers, _ = await answer(gateway, "OPTIONS", path)
        assert (status, headers["Allow"]) == (204, allow)
        status, headers, _ = await answer(gateway, "PUT", path)
        assert (status, headers["Allow"]) == (405, allow)
    assert (await answer(gateway, "HEAD", "/api/events"))[0] == 405


async def raw(gateway: Served, head: str, body: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.runner.addresses[0][1])
    request = (
        f"POST /api/orders/execute HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{head}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(request.encode() + body)
    async with asyncio.timeout(HANG_S):
        received = await reader.read()
    writer.close()
    return received


async def test_an_expectation_is_met_or_refused_as_a_problem(gateway: Served) -> None:
    body = json.dumps(ORDER).encode()
    for text in ("100-continue", "100-Continue"):
        met = await raw(gateway, f"Expect: {text}", body)
        assert met.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")
    refused = await raw(gateway, "Expect: x", body)
    assert refused.startswith(b"HTTP/1.1 417 ")
    assert b"application/problem+json" in refused
    assert b"nosniff" in refused
    assert b'"expectation-failed"' in refused


async def test_location_and_replays_are_named(gateway: Served) -> None:
    options = {"json": ORDER, "headers": {"Idempotency-Key": "k"}}
    first = await answer(gateway, "POST", "/api/orders/execute", **options)
    again = await answer(gateway, "POST", "/api/orders/execute", **options)
    order_id = json.loads(first[2])["orderId"]
    assert [a[0] for a in (first, again)] == [202, 200]
    assert [a[1]["Location"] for a in (first, again)] == [f"/api/orders/{order_id}"] * 2
    assert "Idempotent-Replayed" not in first[1]
    assert again[1]["Idempotent-Replayed"] == "true"


async def test_a_repeated_batch_is_a_replay_only_as_a_whole(gateway: Served) -> None:
    async def submit(orders: list[dict[str, str]], key: str) -> tuple[int, bool]:
        options = {"json": {"orders": orders}, "headers": {"Idempotency-Key": key}}
        status, headers, _ = await answer(gateway, "POST", "/api/orders/batch", **options)
        return status, "Idempotent-Replayed" in headers

    named = ORDER | {"clientOrderId": "mine"}
    assert await submit([named, ORDER], "a") == (202, False)
    assert await submit([named, ORDER], "a") == (200, True)
    assert await submit([named, ORDER, ORDER], "a") == (202, False)
    assert await submit([{}], "b") == (202, False)


async def test_pages_of_allowed_origins_may_read_what_they_need(gateway: Served) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    status, headers, _ = await answer(gateway, "OPTIONS", "/api/orders/execute", headers=asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, PAGE)
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in headers
    _, headers, _ = await answer(gateway, "GET", "/api/tokens", headers={"Origin": PAGE})
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "Retry-After", "X-Request-Id", "RateLimit", "RateLimit-Policy"} <= set(
        exposed
    )
    foreign = {"headers": asked | {"Origin": "https://evil.example"}}
    status, headers, _ = await answer(gateway, "OPTIONS", "/api/orders/execute", **foreign)
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


async def test_json_ends_with_a_newline(gateway: Served) -> None:
    for path in ("/api/tokens", "/readyz", "/api/nothing", "/openapi.json"):
        assert (await answer(gateway, "GET", path))[2].endswith(b"}\n"), path


async def test_a_plain_request_for_events_is_told_both_ways(gateway: Served) -> None:
    status, _, body = await answer(gateway, "GET", "/api/events")
    assert status == 426
    assert "WebSocket" in json.loads(body)["detail"]
    assert "text/event-stream" in json.loads(body)["detail"]


async def test_what_lowers_risk_has_limits_of_its_own(redis_url: str) -> None:
    async with served(redis_url, rates=Rates(0.01, 3)) as gateway:
        order_id = await gateway.resting()
        statuses = [(await answer(gateway, "GET", "/api/tokens"))[0] for _ in range(9)]
        assert statuses[-1] == 429
        for method, path, options in (
            ("DELETE", f"/api/orders/{order_id}", {}),
            ("DELETE", "/api/orders?all=true", {}),
            ("POST", "/api/admin/halt", {"json": {"reason": "odd"}}),
            ("POST", "/api/admin/resume", {"json": {}}),
        ):
            status, headers, _ = await answer(gateway, method, path, **options)
            assert status == 200, path
            assert not headers["RateLimit"].startswith('"default"')


async def test_a_browser_survives_the_refusal_of_a_stream(redis_url: str) -> None:
    async with served(redis_url, sockets_max=1) as gateway:
        async with gateway.http.ws_connect(gateway.url + "/api/events"):
            history = f"/api/orders/{await gateway.accepted()}/events"
            for path in ("/api/events", history, f"{history}/stream"):
                wants = {"headers": {"Accept": "text/event-stream"}}
                status, headers, body = await answer(gateway, "GET", path, **wants)
                assert (status, headers["Content-Type"]) == (200, "text/event-stream")
                assert headers["Connection"] == "close"
                assert body.startswith(b"retry: 1000\n\nevent: problem\ndata: ")
                assert b'"too-many-connections"' in body
                assert b"event: close\n" in body
        for_good = {"headers": {"Accept": "text/event-stream"}}
        unknown = "/api/orders/01900000-0000-7000-8000-000000000001/events"
        assert (await answer(gateway, "GET", unknown, **for_good))[0] == 404
