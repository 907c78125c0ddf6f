"""nginx and HAProxy as docs/guide/deployment.md configures them, before a whole engine.

Without the programs these tests are skipped.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from engine.client import Client, Event, NewOrder
from events.ids import new_order_id
from tests.support.processes.engine_up import Engine, free_port
from tests.support.waits import HANG_S, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/submit_and_watch.py"
LOST = 10
"""How many answers are lost, every second one in its middle."""
ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
PROGRAMS = {"nginx": ("-e", "{folder}/errors", "-c", "{file}"), "haproxy": ("-W", "-f", "{file}")}
"""How each is started in the foreground with a configuration of its own."""


class Proxy(NamedTuple):
    """A running proxy."""

    process: asyncio.subprocess.Process
    http: str
    https: str
    certificate: Path
    reload_signal: signal.Signals
    port: int
    """Of `http`."""


def documented(program: str) -> str:
    text = (ROOT / "docs/guide/deployment.md").read_text(encoding="utf-8")
    [block] = re.findall(rf"```{program}\n(.*?)```", text, re.DOTALL)
    return str(block)


def configured(program: str, engine: Engine, folder: Path, ports: tuple[int, int]) -> str:
    """The documented configuration with the ports, files and gateway of this test."""
    http, https = ports
    text = documented(program).replace("127.0.0.1:3000", engine.url.removeprefix("http://"))
    text = re.sub(r"/etc/ssl/[\w-]+\.pem", str(folder / "both.pem"), text)
    text = text.replace("/etc/ssl/orders.key", str(folder / "key.pem"))
    if program == "haproxy":
        bind = f"bind 127.0.0.1:{http}\n    bind 127.0.0.1:{https} ssl"
        return text.replace("bind :443 ssl", bind)
    listen = f"listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl"
    text = text.replace("listen 443 ssl", listen)
    bodies = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{bodies}"
    return f"{head}{text}}}\n"


@pytest.fixture(params=PROGRAMS)
async def proxy(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> AsyncIterator[Proxy]:
    program = shutil.which(request.param, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        pytest.skip(f"{request.param} or openssl is not installed")
    await asyncio.to_thread(
        subprocess.run,
        ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "crt.pem"),
        check=True,
        capture_output=True,
    )  # fmt: skip
    both = (tmp_path / "crt.pem").read_text() + (tmp_path / "key.pem").read_text()
    (tmp_path / "both.pem").write_text(both)
    ports = free_port(), free_port()
    file = tmp_path / "proxy.conf"
    file.write_text(configured(request.param, engine, tmp_path, ports))
    options = [part.format(folder=tmp_path, file=file) for part in PROGRAMS[request.param]]
    process = await asyncio.create_subprocess_exec(program, *options)
    proxy = Proxy(
        process,
        f"http://localhost:{ports[0]}",
        f"https://localhost:{ports[1]}",
        tmp_path / "crt.pem",
        signal.SIGUSR2 if request.param == "haproxy" else signal.SIGHUP,
        ports[0],
    )
    try:
        await until(lambda: serves(proxy.http))
        yield proxy
    finally:
        process.terminate()
        async with asyncio.timeout(HANG_S):
            await process.wait()


async def serves(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_an_example_trades_over_tls(proxy: Proxy) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, proxy.https,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"SSL_CERT_FILE": str(proxy.certificate)},
        cwd=ROOT,
    )  # fmt: skip
    async with asyncio.timeout(HANG_S):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert "confirmed  OrderConfirmed" in out.decode()


async def test_a_page_of_the_proxys_origin_may_trade(proxy: Proxy) -> None:
    """Its port is part of the origin, also where it is not the usual one."""
    headers = {"Origin": proxy.http}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{proxy.http}/api/orders/execute", json=ORDER, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()


async def test_streams_continue_through_a_reload(engine: Engine, proxy: Proxy) -> None:
    events: list[Event] = []

    async def collect(client: Client) -> None:
        async for event in client.events(after=0):
            events.append(event)

    async with Client(proxy.http) as client:
        task = asyncio.create_task(collect(client))
        accepted = await client.submit(NewOrder("SOL", "USDC", "1"))
        await until(lambda: accepted.order_id in {event.order_id for event in events})
        proxy.process.send_signal(proxy.reload_signal)
        accepted = await client.submit(NewOrder("SOL", "USDC", "2"))
        await engine.ended([accepted.order_id])
        await until(
            lambda: ("OrderConfirmed", accepted.order_id) in {(e.name, e.order_id) for e in events}
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    positions = [event.frame.position for event in events]
    assert positions == list(range(1, len(positions) + 1))


async def test_an_order_whose_answer_is_lost_is_the_same_under_its_key(
    engine: Engine, proxy: Proxy
) -> None:
    """The client goes away after it has sent the request, and asks again through the proxy."""
    body = b'{"tokenIn":"SOL","tokenOut":"USDC","amount":"1.5"}'
    async with Client(proxy.http) as client:
        before = await client.position()
        for number in range(LOST):
            key = f"lost-{new_order_id()}"
            reader, writer = await asyncio.open_connection("localhost", proxy.port)
            writer.write(
                b"POST /api/orders/execute HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: %b\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (key.encode(), len(body), body)
            )
            await writer.drain()
            if number % 2:
                await reader.read(1)  # the answer is lost in its middle
            writer.transport.abort()
            first = await client.submit(NewOrder("SOL", "USDC", "1.5"), key=key)
            again = await client.submit(NewOrder("SOL", "USDC", "1.5"), key=key)
            assert first.order_id == again.order_id
        await engine.ended([first.order_id])
        end, submitted = await client.position(), 0
        async for event in client.events(after=before):
            submitted += event.name == "OrderSubmitted"
            if event.frame.position >= end:
                break
    assert submitted == LOST
