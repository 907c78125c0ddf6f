"""One id joins an answer, its problem, and every log line of the request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import structlog
from aiohttp import web

from gateway.app import make_runner
from gateway.http.request_id import HEADER, PATTERN
from tests.support.http.served import GOOD, Served, served
from tests.support.waits import HANG_S, until


async def answer_of(gateway: Served, path: str, **options: Any) -> tuple[Any, Any]:
    method = options.pop("method", "GET")
    async with gateway.http.request(method, gateway.url + path, **options) as response:
        return response.headers, await response.json(content_type=None)


@pytest.mark.parametrize("path", ["/healthz", "/api/orders/x", "/none", "/api/orders?limit=-1"])
async def test_every_answer_has_an_id_of_its_own(redis_url: str, path: str) -> None:
    async with served(redis_url) as gateway:
        ids = [(await answer_of(gateway, path))[0][HEADER] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(PATTERN.fullmatch(one_id) for one_id in ids)


@pytest.mark.parametrize("chosen", ["a", "7f3c-9.b_1:x/y+z=@", "x" * 128])
async def test_the_id_of_a_client_is_kept_in_answer_and_problem(
    redis_url: str, chosen: str
) -> None:
    async with served(redis_url) as gateway:
        headers, body = await answer_of(gateway, "/api/orders/no-id", headers={HEADER: chosen})
        assert headers[HEADER] == body["requestId"] == chosen
        refused = {"headers": {HEADER: chosen}, "json": GOOD, "method": "POST"}
        headers, _ = await answer_of(gateway, "/api/orders/execute", **refused)
        assert headers[HEADER] == chosen


@pytest.mark.parametrize("chosen", ["", "x" * 129, "a b", "a\tb", '"', "-x", "é", "a;b", "{}"])
async def test_an_id_that_is_not_sane_is_replaced(redis_url: str, chosen: str) -> None:
    async with served(redis_url) as gateway:
        headers, body = await answer_of(gateway, "/none", headers={HEADER: chosen})
    assert headers[HEADER] == body["requestId"] != chosen
    assert PATTERN.fullmatch(headers[HEADER])


async def test_two_ids_are_none(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        headers, _ = await answer_of(gateway, "/none", headers=[(HEADER, "a"), (HEADER, "b")])
    assert headers[HEADER] not in ("a", "b")


async def test_an_unreadable_request_and_streams_have_an_id(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        host, port = gateway.runner.addresses[0][:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        raw = await asyncio.wait_for(reader.read(), HANG_S)
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        request_id = json.loads(body)["requestId"]
        assert f"{HEADER}: {request_id}".encode() in head
        accept = {"Accept": "text/event-stream", HEADER: "stream-1"}
        async with gateway.http.get(gateway.url + "/api/events", headers=accept) as response:
            assert response.headers[HEADER] == "stream-1"
        async with gateway.http.ws_connect(
            gateway.url + "/api/events", headers={HEADER: "socket-1"}
        ) as socket:
            assert socket._response.headers[HEADER] == "socket-1"


async def test_lines_of_a_request_carry_its_id_and_later_lines_do_not(redis_url: str) -> None:
    async with served(redis_url) as gateway:

        async def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        gateway.archive.find = broken
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
            for chosen in ("first", "second"):
                _, body = await answer_of(gateway, "/api/orders", headers={HEADER: chosen})
                assert body["requestId"] == chosen
            structlog.get_logger().info("afterwards")
    failed = [line for line in lines if line["event"] == "request_failed"]
    assert [line["request_id"] for line in failed] == ["first", "second"]
    assert "request_id" not in next(line for line in lines if line["event"] == "afterwards")


async def test_the_access_log_has_one_line_a_request_without_its_query(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        runner = make_runner(gateway.runner.app, access_log=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        other = gateway._replace(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        with structlog.testing.capture_logs() as lines:
            await answer_of(other, "/api/orders?token=hunter2hunter2", headers={HEADER: "a-1"})
            await answer_of(gateway, "/healthz")
            await until(lambda: any(line["event"] == "http_request" for line in lines))
        await runner.server.shutdown(0.1) if runner.server else None
        await site.stop()
    [line] = [line for line in lines if line["event"] == "http_request"]
    assert (line["method"], line["path"], line["status"], line["request_id"]) == (
        "GET", "/api/orders", 400, "a-1",
    )  # fmt: skip
    assert line["bytes"] > 0 and line["duration_ms"] >= 0 and line["key_id"] == ""
    assert "hunter2" not in str(lines)


async def test_the_access_log_names_the_order_that_a_request_made_or_named(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        runner = make_runner(gateway.runner.app, access_log=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        other = gateway._replace(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        with structlog.testing.capture_logs() as lines:
            key = {"Idempotency-Key": "k"}
            _, first, _ = await other.post(headers=key | {HEADER: "new"})
            await other.post(headers=key | {HEADER: "again"})
            await other.ask("DELETE", f"/api/orders/{first['orderId']}", headers={HEADER: "out"})
            await other.get("/api/orders", headers={HEADER: "list"})
            await until(lambda: sum(line["event"] == "http_request" for line in lines) == 4)
        await runner.server.shutdown(0.1) if runner.server else None
        await site.stop()
    named = {
        line["request_id"]: line.get("order_id")
        for line in lines
        if line["event"] == "http_request"
    }
    order_id = first["orderId"]
    assert named == {"new": order_id, "again": order_id, "out": order_id, "list": None}


async def test_each_accepted_order_of_a_batch_and_each_cancel_has_a_line(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        await gateway.post(GOOD | {"clientOrderId": "before"})
        bad, twice = {"tokenIn": "SOL"}, GOOD | {"clientOrderId": "before"}
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
            _, answer, _ = await gateway.post(
                {"orders": [GOOD, bad, twice, GOOD]},
                path="/api/orders/batch",
                headers={HEADER: "batch-1"},
            )
            new = [answer["results"][place]["orderId"] for place in (0, 3)]
            for _ in range(2):
                await gateway.ask("DELETE", f"/api/orders/{new[0]}", headers={HEADER: "out-1"})
    assert [
        (line["event"], line["order_id"], line["request_id"])
        for line in lines
        if line["event"] in ("order_accepted", "order_cancelled")
    ] == [
        ("order_accepted", new[0], "batch-1"),
        ("order_accepted", new[1], "batch-1"),
        ("order_cancelled", new[0], "out-1"),
    ]
