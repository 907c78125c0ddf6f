"""GET /api/time: the clock that judges `expiresAt`. A client finds out how far its own is off."""

from __future__ import annotations

from aiohttp import web

from events.telemetry.server_clock import now_us as server_now_us
from gateway.http import responses
from projections.views.formats import timestamp


async def read_time(_: web.Request) -> web.Response:
    """The time in both forms that requests take."""
    now_us = server_now_us()
    return responses.json_response({"time": timestamp(now_us), "unixMs": now_us // 1000})
