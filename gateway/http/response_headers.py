"""Headers that a request's response gets, whichever handler or error answers."""

from __future__ import annotations

from aiohttp import hdrs, web

SERVER = "order-execution-engine"
"""Without a version: it would tell an attacker which faults to try."""
EXTRAS = web.RequestKey("extras", dict[str, str])


async def name_server(_: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp: the response names the engine, not the libraries below it."""
    response.headers[hdrs.SERVER] = SERVER


def add(request: web.Request, headers: dict[str, str]) -> None:
    """Adds headers to the response of a request."""
    request[EXTRAS] = of(request) | headers


def of(request: web.Request) -> dict[str, str]:
    """The headers added so far."""
    headers: dict[str, str] = request.get(EXTRAS, {})
    return headers
