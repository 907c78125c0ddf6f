"""Headers that the answer to a request gets, whatever the answer is."""

from __future__ import annotations

from aiohttp import hdrs, web

from events.version import VERSION

SERVER = f"order-execution-engine/{VERSION}"
EXTRAS = web.RequestKey("extras", dict[str, str])


async def name_server(_: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp: the response names the engine, not the libraries below it."""
    response.headers[hdrs.SERVER] = SERVER


def add(request: web.Request, headers: dict[str, str]) -> None:
    """For the answer that will come."""
    request[EXTRAS] = of(request) | headers


def of(request: web.Request) -> dict[str, str]:
    """All that were added."""
    headers: dict[str, str] = request.get(EXTRAS, {})
    return headers
