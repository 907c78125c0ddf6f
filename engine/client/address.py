"""The address of a gateway, and the forward proxy on the way to it."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from engine.client.refusals import UnreachableError


class AddressError(UnreachableError, ValueError):
    """What was given is not the URL of a gateway."""


class Address(NamedTuple):
    """Where a gateway is reached."""

    origin: str
    """Scheme, host and port, with the user and password of the URL."""
    prefix: str
    """The path below which a proxy serves the gateway; empty for the root."""
    shown: str
    """The URL without user and password, for messages."""
    local: bool
    """Whether it is on this machine."""

    @property
    def forward_proxy(self) -> str | None:
        """The proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; never one for this machine.

        aiohttp's own `trust_env` would read ~/.netrc as well, whose entry it refuses beside a key.
        """
        parts = urlsplit(self.origin)
        if self.local or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        proxies = getproxies()
        return proxies.get(parts.scheme) or proxies.get("all")


def address_of(url: str) -> Address:
    """Reads the URL of a gateway. Raises AddressError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        line = f"the URL of a gateway begins with http:// or https://, not {url[:100]!r}"
        raise AddressError(line)
    prefix = parts.path.rstrip("/")
    host = parts.netloc.rpartition("@")[2]
    return Address(
        f"{parts.scheme}://{parts.netloc}",
        prefix,
        f"{parts.scheme}://{host}{prefix}",
        _is_local(parts.hostname),
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
