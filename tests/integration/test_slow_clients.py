"""A client that sends a byte now and then delays no other client, and is disconnected."""

from __future__ import annotations

import asyncio
import contextlib
import time
from unittest.mock import patch

from aiohttp import web

from gateway.api import orders
from gateway.app import make_runner
from gateway.http.problems import SAFE
from gateway.parsing import body
from tests.support.http.served import served
from tests.support.waits import HANG_S, until

CUT_S = 1.0


async def _dripping(port: int, head: bytes, drip: bytes) -> float:
    """Sends a head, then bytes until it is disconnected. Returns the seconds until then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(head)

    async def cut_off() -> bool:
        writer.write(drip)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                return not await reader.read(1000)
        return False

    with contextlib.suppress(ConnectionError):
        await until(cut_off)
    writer.close()
    return time.monotonic() - began


async def test_slowly_sent_request_headers_close_the_connection() -> None:
    runner = make_runner(web.Application(), idle_s=CUT_S)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        took = await _dripping(runner.addresses[0][1], b"GET / HTTP/1.1\r\nX: ", b"a")
    finally:
        await runner.cleanup()
    assert took > CUT_S / 2


async def test_idle_connections_make_room_for_requests(redis_url: str) -> None:
    async with served(redis_url, connections_max=20) as gateway:
        port = gateway.runner.addresses[0][1]
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in idle[::2]:
            with contextlib.suppress(ConnectionError):
                writer.write(b"POST /api/orders/execute HTTP/1.1\r\nX: ")
        assert (await gateway.get("/healthz"))[0] == 200
        await gateway.accepted()
        server = gateway.runner.server
        assert server is not None
        await until(lambda: len(server.connections) <= 20)
        for _, writer in idle:
            writer.close()


async def test_a_slowly_sent_body_is_a_problem_and_the_connection_ends(redis_url: str) -> None:
    async def hasty(request: web.Request) -> bytes:
        return await body.body_of(request, CUT_S)

    head = (
        b"POST /api/orders/execute HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    with patch.object(orders, "body_of", hasty):
        async with served(redis_url) as gateway:
            port = gateway.runner.addresses[0][1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"{")
            async with asyncio.timeout(HANG_S):
                readuntil = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            assert b" 408 " in readuntil.partition(b"\r\n")[0]


async def test_a_head_that_is_too_long_is_refused(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        async with gateway.http.get(gateway.url + "/healthz", headers={"X": "a" * 9000}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (431, "headers-too-large")
        async with gateway.http.get(gateway.url + "/healthz?" + "a" * 9000) as answer:
            assert answer.status == 431


async def test_every_answer_has_security_headers(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        for path in ("/api/orders", "/api/nothing", "/readyz", "/api/tokens"):
            async with gateway.http.get(gateway.url + path) as answer:
                assert {name: answer.headers[name] for name in SAFE} == SAFE, path


async def test_every_response_names_the_engine_and_no_library(redis_url: str) -> None:
    expected = "order-execution-engine"
    async with served(redis_url) as gateway:
        for path in ("/", "/docs", "/readyz", "/nowhere", "/healthz?" + "a" * 9000):
            async with gateway.http.get(gateway.url + path) as answer:
                assert answer.headers.getall("Server") == [expected], path
        stream = gateway.url + "/api/events"
        async with gateway.http.get(stream, headers={"Accept": "text/event-stream"}) as answer:
            assert answer.headers.getall("Server") == [expected]
        async with gateway.http.ws_connect(gateway.url + "/api/events?after=0") as socket:
            assert socket._response.headers.getall("Server") == [expected]
