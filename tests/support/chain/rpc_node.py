"""A JSON-RPC server on loopback that answers what a test tells it to, and counts what it was asked.

It is not a chain: it knows HTTP, the envelope, and canned answers.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

GENESIS = "11111111111111111111111111111112"

PATIENT: dict[str, Any] = {
    "timeout_s": 25.0, "deadline_s": 25.0, "backoff_s": 0.01, "backoff_max_s": 0.05,
}  # fmt: skip
"""RpcOptions of a client whose calls end by answers, or by `tries_max`, however slow the machine:
below the 30 s that nodes here ask for by Retry-After, which is then too long to be waited for."""
HANG_UP_S = 0.3
"""The `timeout_s` of a client whose node hangs on purpose: its good answers may be late too."""


class JsonError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


class HttpError(Exception):
    """An answer with another status than 200."""

    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


class Node:
    """`answers` by method: called with the parameters. `faults` come first, one a request."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.params: list[tuple[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {"getGenesisHash": lambda _: GENESIS}
        self.faults: list[str] = []
        self.fault = ""
        """Of every request, until it is emptied."""
        self.hanging = asyncio.Event()
        self.handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        """Answers instead, whatever is asked."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.handler is not None:
            return await self.handler(request)
        asked = msgspec.json.decode(await request.read())
        method = asked["method"]
        self.asked[method] += 1
        self.params.append((method, asked["params"]))
        fault = self.faults.pop(0) if self.faults else self.fault
        match fault.split(" ", 1):
            case ["hang"]:
                await self.hanging.wait()
            case ["garbage"]:
                return web.Response(body=b"\xff<html>")
            case ["drop"]:
                assert request.transport is not None
                request.transport.close()
            case ["stranger"]:
                return web.json_response({"jsonrpc": "2.0", "id": -1, "result": 1})
            case ["other-shape"]:
                return web.json_response({"id": asked["id"], "result": {"no": "shape"}})
            case ["json", code]:
                error = {"code": int(code), "message": "says so"}
                return web.json_response({"id": asked["id"], "error": error})
            case [status, *after] if status:
                return web.Response(
                    status=int(status), headers={"Retry-After": after[0]} if after else {}
                )
        return await self._answer(asked, method)

    async def _answer(self, asked: Any, method: str) -> web.Response:
        try:
            result = self.answers[method](asked["params"])
            if inspect.isawaitable(result):
                result = await result
        except HttpError as error:
            return web.Response(status=error.status, text=error.body, headers=error.headers)
        except JsonError as error:
            told = {"code": error.code, "message": error.message}
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": told})
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})


@asynccontextmanager
async def rpc_node() -> AsyncIterator[Node]:
    """A node that runs."""
    node = Node()
    app = web.Application()
    app.router.add_post("/{key:.*}", node.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    node.url = f"{site.name}/secret-key"
    try:
        yield node
    finally:
        node.hanging.set()
        await runner.cleanup()


def at(slot: int, value: Any) -> dict[str, Any]:
    """An answer with its context."""
    return {"context": {"slot": slot, "apiVersion": "9.9"}, "value": value}
