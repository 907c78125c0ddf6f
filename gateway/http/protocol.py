"""The HTTP server below the application: answers unreadable requests with a problem, too."""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway.http import request_id, response_headers
from gateway.http.problems import Problem


class Runner(web.AppRunner):
    """Runs an application with `_Protocol`."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **server._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    __slots__ = ()

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


def _problem(status: int, error: Any) -> Problem:
    if status >= 500:
        return Problem("internal")
    if isinstance(error, LineTooLong):
        return Problem("headers-too-large")
    return Problem("malformed-request")
