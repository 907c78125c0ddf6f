"""GET /api/time: the clock of the gateway, by which a client finds out how far its own is off."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.http import responses
from projections.views.formats import timestamp


async def read_time(_: web.Request) -> web.Response:
    """The time in both forms that requests take."""
    now_us = time.time_ns() // 1000
    return responses.json_response({"time": timestamp(now_us), "unixMs": now_us // 1000})
