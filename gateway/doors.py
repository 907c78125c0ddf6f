"""Who may come in: a web page in the user's browser may not use an engine on the loopback.

A page can send requests here under a foreign Origin, or, by rebinding a name it owns to this
address, under a foreign Host. An address or `localhost` cannot be rebound; names have to be told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from aiohttp import hdrs, web

from gateway.problems import Problem

CACHE = 1000
"""Hosts remembered as good."""


class Doors:
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
        if origin is not None and not self._is_ours(origin, host):
            raise Problem("origin-forbidden", f"Origin {origin[:100]}")

    @staticmethod
    def check_json(request: web.Request) -> None:
        """Refuses bodies that a page could send without asking first."""
        said = request.headers.get(hdrs.CONTENT_TYPE, "")
        if said != "application/json":
            kind = said.partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Problem("unsupported-media-type", f"Content-Type {said[:100]!r}")

    def _check_host(self, host: str) -> None:
        name = _without_port(host.lower())
        if name not in self._names and not _is_address(name):
            raise Problem("host-forbidden", f"Host {host[:100]!r}")
        if len(self._good) < CACHE:
            self._good.add(host)

    def _is_ours(self, origin: str, host: str) -> bool:
        return origin in (f"http://{host}", f"https://{host}") or origin in self._origins


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
