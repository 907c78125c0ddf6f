"""Headers that the answer to a request gets, whatever the answer is."""

from __future__ import annotations

from aiohttp import web

EXTRAS = web.RequestKey("extras", dict[str, str])


def add(request: web.Request, headers: dict[str, str]) -> None:
    """For the answer that will come."""
    request[EXTRAS] = of(request) | headers


def of(request: web.Request) -> dict[str, str]:
    """All that were added."""
    found: dict[str, str] = request.get(EXTRAS, {})
    return found
