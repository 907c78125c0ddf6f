"""The HTTP server below the application: answers unreadable requests with a problem, too."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway.http import request_id, response_headers
from gateway.http.connections import Connections
from gateway.http.problems import Problem


class Runner(web.AppRunner):
    """Runs an application with `_Protocol`."""

    def __init__(self, app: web.Application, connections: Connections, **options: Any) -> None:
        """`options` are those of `aiohttp.web.AppRunner`."""
        super().__init__(app, **options)
        self._connections = connections

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        make_request = server.request_factory

        def make(message: Any, payload: Any, protocol: Any, *more: Any) -> web.BaseRequest:
            self._connections.moved(protocol)
            return make_request(message, payload, protocol, *more)

        return _Server(
            server.request_handler,
            connections=self._connections,
            request_factory=make,
            handler_cancellation=server.handler_cancellation,
            **server._kwargs,
        )


class _Server(web.Server):
    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self.clients = connections

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    __slots__ = ("_clients", "address")

    def __init__(self, manager: _Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._clients = manager.clients
        self.address = ""
        """Of the client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts the connection."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._clients.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Counts it no more."""
        self._clients.closed(self)
        super().connection_lost(exc)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._current_request is not None

    def hang_up(self) -> None:
        """Closes the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def become_stream(self) -> None:
        """The connection is a socket or an event stream from now on."""
        self._clients.is_stream(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the library's words show its insides
    ) -> web.StreamResponse:
        """The responses that aiohttp sends without the application, to unreadable requests."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status >= 500:
            self.log_exception("a request failed", exc_info=exc)
        with request_id.bound(request) as id_:
            response = _problem(status, exc).response()
        response.headers[hdrs.SERVER] = response_headers.SERVER
        response.headers[request_id.HEADER] = id_
        response.force_close()
        return response

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Logs an unreadable body at debug level: the client caused it and has its response."""
        if isinstance(more.get("exc_info"), web.RequestPayloadError):
            self.log_debug(*args, **more)
        else:
            super().log_exception(*args, **more)


def become_stream(request: web.Request) -> None:
    """The connection of this request is a socket or an event stream from now on."""
    cast("_Protocol", request.protocol).become_stream()


def _problem(status: int, error: Any) -> Problem:
    if status >= 500:
        return Problem("internal")
    if isinstance(error, LineTooLong):
        return Problem("headers-too-large")
    return Problem("malformed-request")
