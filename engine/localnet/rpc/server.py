"""The server: JSON-RPC 2.0 over HTTP, on the loopback interface only, with injected faults."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from engine.localnet.node import Node
from engine.localnet.rpc import accounts, chain, control, history, transactions
from engine.localnet.rpc.parameters import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    NO_METHOD,
    PARSE_ERROR,
    Call,
    RpcError,
)
from engine.localnet.state.failures import NotTaken, words
from events.telemetry.error_text import error_text

HOST = "127.0.0.1"
BODY_MAX = 50 * 1024 * 1024
BATCH_MAX = 1_000
_LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")

METHODS: Mapping[str, Callable[[Call], Any | Awaitable[Any]]] = {
    **accounts.METHODS,
    **chain.METHODS,
    **transactions.METHODS,
    **history.METHODS,
    **control.METHODS,
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
log = structlog.get_logger()


class Lost(Exception):
    """A fault breaks the connection before the response."""


class RpcServer:
    """Handles calls."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_post("/", self._post)
        app.router.add_get("/health", _health)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        # DNS rebinding: a web page must not reach this server by a name of its own.
        if request.host.rsplit(":", 1)[0] not in _LOCAL:
            return web.Response(status=403, text="loopback only")
        try:
            asked = _decode(await request.read())
        except msgspec.DecodeError:
            return _json(_error(None, RpcError(PARSE_ERROR, "Parse error")))
        calls = asked if isinstance(asked, list) else [asked]
        if not calls or len(calls) > BATCH_MAX:
            return _json(_error(None, RpcError(INVALID_REQUEST, "Invalid request")))
        if await self._is_refused(calls):
            return web.Response(status=429, text="Too many requests")
        try:
            answers = [await self._answer(call) for call in calls]
        except Lost:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        return _json(answers if isinstance(asked, list) else answers[0])

    async def _is_refused(self, calls: list[Any]) -> bool:
        luck = self._node.luck
        names = [call.get("method") for call in calls if isinstance(call, dict)]
        if any(str(name).startswith("localnet_") for name in names):
            return False  # faults can always be switched off
        if not any(luck.concerns(str(name)) for name in names):
            return False
        if luck.faults.latency_ms:
            await asyncio.sleep(luck.faults.latency_ms / 1000)
        return luck.hits("reject")

    async def _answer(self, call: Any) -> dict[str, Any]:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _error(None, RpcError(INVALID_REQUEST, "Invalid request"))
        number, name = call.get("id"), call["method"]
        method = METHODS.get(name)
        if method is None:
            return _error(number, RpcError(NO_METHOD, "Method not found"))
        params = call.get("params") or []
        if not isinstance(params, list):
            message = "Invalid params: `params` should be an array"
            return _error(number, RpcError(INVALID_PARAMS, message))
        try:
            result = method(Call(self._node, params))
            if inspect.isawaitable(result):
                result = await result
        except RpcError as error:
            return _error(number, error)
        except NotTaken as error:
            return _error(number, RpcError(INVALID_PARAMS, words(error.err)))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            log.warning("localnet_call_failed", method=name, error=error_text(error))
            return _error(number, RpcError(INTERNAL_ERROR, "Internal error"))
        if name == "sendTransaction" and self._node.luck.hits("lose"):
            raise Lost
        return {"jsonrpc": "2.0", "result": result, "id": number}


def _error(number: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": error.body(), "id": number}


def _json(body: Any) -> web.Response:
    return web.Response(body=_encode(body), content_type="application/json")


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def serve(node: Node, port: int) -> tuple[web.AppRunner, int]:
    """Listens on a port of the loopback interface (0: any). Raises OSError.

    Returns the runner, to be cleaned up, and the port.
    """
    runner = web.AppRunner(RpcServer(node).app(), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, backlog=1024)
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])
