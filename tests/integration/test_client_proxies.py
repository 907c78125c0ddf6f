"""The client behind reverse proxies that drop upgrades, serve below a path, redirect and refuse."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from engine.client import Client, Event, NewOrder, RefusedError, UnreachableError
from engine.client import api as client_api
from engine.client.event_stream import EventStream
from tests.support.http.reverse_proxy import ReverseProxy, reverse_proxy
from tests.support.http.served import MemoryArchive, Served, served
from tests.support.log.played import after_submission
from tests.support.waits import HANG_S, until

ORDER = NewOrder("SOL", "USDC", "1.5")
PREFIX = "/engine"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_api, "RECONNECT_S", 0.01)


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, archive=MemoryArchive(), heartbeat_ms=50) as gateway:
        yield gateway


@pytest.fixture
async def proxy(gateway: Served) -> AsyncIterator[ReverseProxy]:
    async with reverse_proxy(gateway.url, PREFIX) as proxy:
        yield proxy


async def collect(source: AsyncIterator[Event], into: list[Event]) -> None:
    async for event in source:
        into.append(event)


async def test_a_gateway_below_a_path_is_used_as_any_other(
    gateway: Served, proxy: ReverseProxy
) -> None:
    async with Client(f"{proxy.url}/") as client:
        accepted = await client.submit(ORDER)
        assert (await client.order(accepted.order_id)).status == "pending"
        assert [event.name for event in await client.history(accepted.order_id)] == [
            "OrderSubmitted"
        ]


async def test_streams_come_as_server_sent_events_where_no_upgrade_passes(
    gateway: Served, proxy: ReverseProxy
) -> None:
    """Without a gap and without an event twice, whatever the proxy cuts."""
    feed: list[Event] = []
    single: list[Event] = []
    order_id = await gateway.accepted()
    async with Client(proxy.url) as client:
        assert isinstance(await client.connect("/api/events", after="0"), EventStream)
        tasks = [
            asyncio.create_task(collect(client.events(after=0), feed)),
            asyncio.create_task(collect(client.follow(order_id), single)),
        ]
        await until(lambda: len(feed) == len(single) == 1)
        proxy.cut()
        await gateway.append(order_id, *after_submission())
        await until(lambda: len(feed) == 6)
        async with asyncio.timeout(HANG_S):
            await tasks[1]  # the order has ended
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [event.frame.position for event in feed] == list(range(1, 7))
    assert [event.frame.version for event in single] == list(range(1, 7))


async def test_an_unknown_order_is_refused_over_server_sent_events_too(
    gateway: Served, proxy: ReverseProxy
) -> None:
    async with Client(proxy.url) as client:
        with pytest.raises(RefusedError) as refused:
            await collect(client.follow("01900000-0000-7000-8000-000000000001"), [])
    assert (refused.value.code, refused.value.status) == ("unknown-order", 404)


async def test_a_refused_stream_has_the_code_of_its_problem(gateway: Served) -> None:
    """A handshake's response has no body for the client: it asks for the problem."""
    async with Client(gateway.url) as client:
        with pytest.raises(RefusedError) as refused:
            await collect(client.events(after="nonsense"), [])
    assert (refused.value.code, refused.value.status) == ("malformed-cursor", 400)


@pytest.mark.parametrize("status", [413, 414, 431])
async def test_a_size_that_a_proxy_refuses_is_refused_at_once(
    gateway: Served, proxy: ReverseProxy, status: int
) -> None:
    async with Client(proxy.url) as client:
        await client.ready()
        proxy.refusal, before = status, proxy.requests
        with pytest.raises(RefusedError, match="size of the request") as refused:
            await client.submit_batch([ORDER])
        assert (refused.value.status, proxy.requests) == (status, before + 1)


async def test_a_redirect_is_not_followed_and_is_named() -> None:
    """To another scheme or host the key would not be sent, and a POST would arrive as a GET."""

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("https://orders.example/readyz")

    app = web.Application()
    app.router.add_get("/{path:.*}", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Client(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            with pytest.raises(UnreachableError, match=r"redirects to https://orders\.example"):
                await client.ready()
    finally:
        await runner.cleanup()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_an_untrusted_certificate_is_named_and_not_waited_for(
    gateway: Served, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "crt.pem"
    await asyncio.to_thread(
        subprocess.run,
        ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate),
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site = web.TCPSite(gateway.runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = gateway.runner.addresses[-1][1]
    try:
        async with Client(f"https://127.0.0.1:{port}") as client:
            with pytest.raises(UnreachableError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
                await client.ready()
    finally:
        await site.stop()
    async with Client(gateway.url.replace("http:", "https:")) as client:
        with pytest.raises(UnreachableError, match="no TLS"):
            await client.ready()
