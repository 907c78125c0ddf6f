"""Who may come in: a web page in the user's browser may not use an engine on the loopback.

A page can send requests here under a foreign Origin, or, by rebinding a name it owns to this
address, under a foreign Host. An address or `localhost` cannot be rebound; names have to be told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from aiohttp import hdrs, web

from gateway.http import response_headers
from gateway.http.problems import Problem

CACHE = 1000
"""Hosts remembered as good."""

PREFLIGHT = "Access-Control-Request-Method"
CORS = {
    "Vary": "Origin",
    "Access-Control-Expose-Headers": "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy,"
    " Retry-After",
}
"""What a page of ALLOWED_ORIGINS is told beside that it may read the answer."""


class OriginGuard:
    """Checks Host, Origin and the type of bodies. Raises Problem."""

    def __init__(self, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._names = {"localhost", *(host.lower() for host in hosts)}
        self._origins = frozenset(origins)
        self._good: set[str] = set()

    def check(self, request: web.Request) -> None:
        """Refuses foreign pages."""
        headers = request.headers
        host = headers.get(hdrs.HOST, "")
        if host not in self._good:
            self._check_host(host)
        origin = headers.get(hdrs.ORIGIN)
        if origin is None:
            return
        if origin in self._origins:
            response_headers.add(request, CORS | {"Access-Control-Allow-Origin": origin})
        elif origin not in (f"http://{host}", f"https://{host}"):
            raise Problem("origin-forbidden", f"Origin {origin[:100]}")

    def asked_for(self, request: web.Request) -> bool:
        """Whether a browser asks if a page of ALLOWED_ORIGINS may do something here."""
        headers = request.headers
        wants = request.method == hdrs.METH_OPTIONS and PREFLIGHT in headers
        return wants and headers.get(hdrs.ORIGIN) in self._origins

    @staticmethod
    def preflight(methods: str) -> dict[str, str]:
        """The headers of the answer: these methods, with all headers that we look at."""
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key,"
            " if-match, last-event-id, traceparent",
            "Access-Control-Max-Age": "600",
        }

    @staticmethod
    def check_json(request: web.Request) -> None:
        """Refuses bodies that a page could send without asking first."""
        content_type = request.headers.get(hdrs.CONTENT_TYPE, "")
        if content_type != "application/json":
            kind = content_type.partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Problem("unsupported-media-type", f"Content-Type {content_type[:100]!r}")

    def _check_host(self, host: str) -> None:
        name = _without_port(host.lower())
        if name not in self._names and not _is_address(name):
            raise Problem("host-forbidden", f"Host {host[:100]!r}")
        if len(self._good) < CACHE:
            self._good.add(host)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
