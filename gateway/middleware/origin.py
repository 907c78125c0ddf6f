"""Checks of Host and Origin: protect an engine on the loopback from pages in the user's browser.

A foreign page sends its own Origin or, by DNS rebinding, a foreign Host. Addresses and `localhost`
cannot be rebound; other names must be configured. Browsers always send Host, so that a request of
HTTP/1.0 without it, such as the health check of a balancer, is none of theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from aiohttp import HttpVersion11, hdrs, web

from gateway.http import response_headers
from gateway.http.problems import Problem

CACHE = 1000
"""How many accepted hosts are cached."""

USUAL_PORTS = {"http": ":80", "https": ":443"}
PREFLIGHT = "Access-Control-Request-Method"
CORS = {
    "Vary": "Origin",
    "Access-Control-Expose-Headers": "Allow, Content-Disposition, ETag, Idempotent-Replayed,"
    " Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id",
}
"""The response headers that a page of ALLOWED_ORIGINS may read."""


class OriginGuard:
    """Checks Host, Origin and the type of bodies. Raises Problem."""

    def __init__(self, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        """`hosts`: names, or URLs and names with ports, which count as their names; `origins`: as
        browsers send them, or URLs.
        """
        self._names = {"localhost", *(_name_of(host) for host in hosts)}
        self._origins = frozenset(_origin_of(origin) for origin in origins)
        self._good: set[str] = set()

    def check(self, request: web.Request) -> None:
        """Raises Problem for a foreign Host or Origin."""
        headers = request.headers
        host = headers.get(hdrs.HOST, "")
        if hdrs.HOST not in headers:
            if request.version >= HttpVersion11:
                raise Problem("malformed-request", "HTTP/1.1 requires the header Host")
        elif host not in self._good:
            self._check_host(host)
        origin = headers.get(hdrs.ORIGIN)
        if origin is None:
            return
        if origin in self._origins:
            response_headers.add(request, CORS | {"Access-Control-Allow-Origin": origin})
        elif not host or origin not in (f"http://{host}", f"https://{host}"):
            known = f"neither that of Host {host[:100]!r} nor in ALLOWED_ORIGINS"
            raise Problem("origin-forbidden", f"Origin {origin[:100]} is {known}")

    def asked_for(self, request: web.Request) -> bool:
        """Whether it is the preflight request of a page of ALLOWED_ORIGINS."""
        headers = request.headers
        wants = request.method == hdrs.METH_OPTIONS and PREFLIGHT in headers
        return wants and headers.get(hdrs.ORIGIN) in self._origins

    @staticmethod
    def preflight(methods: str) -> dict[str, str]:
        """The headers of a preflight response: these methods, and every request header in use."""
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key,"
            " if-match, if-none-match, last-event-id, traceparent, x-request-id",
            "Access-Control-Max-Age": "600",
        }

    @staticmethod
    def check_json(request: web.Request) -> None:
        """Raises Problem for a body that a page can send without a preflight request."""
        content_type = request.headers.get(hdrs.CONTENT_TYPE, "")
        if content_type != "application/json":
            kind = content_type.partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Problem("unsupported-media-type", f"Content-Type {content_type[:100]!r}")

    def _check_host(self, host: str) -> None:
        name = _name_of(host)
        if name not in self._names and not _is_address(name):
            raise Problem("host-forbidden", f"Host {host[:100]!r} is not in ALLOWED_HOSTS")
        if len(self._good) < CACHE:
            self._good.add(host)


def _name_of(host: str) -> str:
    """The bare name: without scheme, port, and the dot with which a full name may end."""
    name = host.lower().rpartition("://")[2].partition("/")[0]
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def _origin_of(url: str) -> str:
    """The origin as browsers send it: without path and usual port."""
    scheme, _, rest = url.lower().partition("://")
    place = rest.partition("/")[0]
    return f"{scheme}://{place.removesuffix(USUAL_PORTS.get(scheme, ''))}" if rest else url


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
