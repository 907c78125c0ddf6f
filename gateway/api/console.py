"""The console: the files of gateway/static/, read once.

Everything comes from this gateway and nothing is inline, so that the content policy can be strict:
text in an order can never become script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from aiohttp import hdrs, web

from events.money import Token
from gateway.http import responses
from gateway.http.problems import Problem

PAGE = "index.html"
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}
LINKS = {
    "submit": "/api/orders/execute",
    "batch": "/api/orders/batch",
    "orders": "/api/orders",
    "events": "/api/events",
    "quotes": "/api/quotes",
    "tokens": "/api/tokens",
    "time": "/api/time",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "asyncapi": "/asyncapi.json",
}


class File(NamedTuple):
    """A file, its content type and its ETag."""

    body: bytes
    kind: str
    tag: str


class Console:
    """Serves the console and what it offers for trading."""

    def __init__(self, tokens: Mapping[str, Token]) -> None:
        self._files = _read()
        traded = {token.symbol: token for token in tokens.values()}
        self._tokens = [
            {"symbol": token.symbol, "decimals": token.decimals, "mint": token.mint or None}
            for token in traded.values()
        ]

    async def index(self, request: web.Request) -> web.Response:
        """GET /: the console for browsers, links for other clients."""
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            return self._answer(request, self._files[PAGE])
        content = {"name": "order execution engine", "links": LINKS}
        return responses.json_response(content, headers={"Vary": "Accept"})

    async def file(self, request: web.Request) -> web.Response:
        """GET /static/{name}."""
        name = request.match_info["name"]
        if name not in self._files:
            raise Problem("not-found", request.path[:200])
        return self._answer(request, self._files[name])

    async def tokens(self, _: web.Request) -> web.Response:
        """GET /api/tokens: the tokens that can be traded."""
        return responses.json_response({"tokens": self._tokens})

    @staticmethod
    def _answer(request: web.Request, file: File) -> web.Response:
        headers = HEADERS | {"Content-Type": file.kind, "ETag": file.tag}
        if request.headers.get(hdrs.IF_NONE_MATCH) == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, headers=headers)


def _read() -> dict[str, File]:
    served = {}
    for path in files("gateway").joinpath("static").iterdir():
        kind = TYPES.get(path.name.rpartition(".")[2])
        if kind is not None:
            body = path.read_bytes()
            served[path.name] = File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return served
