"""The second yardstick: what aiohttp does when there is nothing to do, in a process of its own.

`python -m tests.bench.bare` prints its port and serves until SIGTERM. It reads the body and answers
as many bytes as the gateway would.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web

JSON = {"Content-Type": "application/json"}
ANSWER = b'{"orderId":"","status":"pending"}'.ljust(321)
ITEM = '{"index":100,"status":"pending","orderId":"01a2040e-7990-7000-bdb4-56359e457a42"}'


async def execute(request: web.Request) -> web.Response:
    """POST of one order."""
    await request.read()
    return web.Response(body=ANSWER, status=202, headers=JSON)


async def batch(request: web.Request) -> web.Response:
    """POST of a batch; the answer is built for each request, as the engine has to."""
    size = (await request.read()).count(b'"amount"')
    text = '{"results":[' + ",".join([ITEM] * size) + "]}"
    return web.Response(body=text.encode(), status=202, headers=JSON)


async def main() -> None:
    """Serve."""
    app = web.Application()
    app.router.add_post("/api/orders/execute", execute)
    app.router.add_post("/api/orders/batch", batch)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
