"""GET /openapi.json, /asyncapi.json, /docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.http import responses


class Documents:
    """Serves the documents of the API. Each is built on its first request."""

    def __init__(
        self,
        openapi: Callable[[], dict[str, Any]],
        asyncapi: Callable[[], dict[str, Any]],
        page: Callable[[], str],
        page_policy: str,
    ) -> None:
        """`page_policy`: the Content-Security-Policy of the page."""
        self._openapi = openapi
        self._asyncapi = asyncapi
        self._page = page
        self._page_headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": page_policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }

    async def read_openapi(self, _: web.Request) -> web.Response:
        """GET /openapi.json: the HTTP interface."""
        return responses.json_response(self._openapi())

    async def read_asyncapi(self, _: web.Request) -> web.Response:
        """GET /asyncapi.json: the WebSockets."""
        return responses.json_response(self._asyncapi())

    async def read_page(self, _: web.Request) -> web.Response:
        """GET /docs: both documents as one page of HTML."""
        return web.Response(
            text=self._page(),
            content_type="text/html",
            charset="utf-8",
            headers=self._page_headers,
        )
