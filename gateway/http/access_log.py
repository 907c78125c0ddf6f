"""The access log: one line for each answered request, where ACCESS_LOG asks for it."""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gateway.http import request_id

KEY_ID = web.RequestKey("key_id", str)
"""The id of the request's API key; empty without one."""
ORDER_ID = web.RequestKey("order_id", str)
"""The order that the request created or named."""
PATH_MAX = 500
"""Characters of a path that are logged."""


class AccessLog(AbstractAccessLogger):
    """Part of aiohttp, which calls it once the last byte of an answer is written."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Logs a request. The query is left out: clients put secrets there."""
        order = {"order_id": request[ORDER_ID]} if ORDER_ID in request else {}
        structlog.get_logger().info(
            "http_request",
            method=request.method,
            path=request.rel_url.raw_path[:PATH_MAX],
            status=response.status,
            duration_ms=round(time * 1000, 3),
            request_id=request_id.of(request),
            key_id=request.get(KEY_ID, ""),
            bytes=response.body_length,
            **order,
        )
