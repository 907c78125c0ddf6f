"""Reads a request body within a total deadline: protects against clients that send very slowly."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.http.problems import Problem

BODY_S = 10.0


async def body_of(request: web.Request, within_s: float = BODY_S) -> bytes:
    """The whole body. Raises Problem."""
    try:
        if request.content.is_eof():  # it came with its head, as nearly all do: no timer is needed
            return await request.read()
        async with asyncio.timeout(within_s):
            return await request.read()
    except web.RequestPayloadError:
        detail = "what came is not as Content-Encoding and Transfer-Encoding say"
        raise Problem("malformed-request", detail) from None
    except TimeoutError:
        request.protocol.close()
        raise Problem("request-timeout", f"not all of it came in {within_s:g} s") from None
