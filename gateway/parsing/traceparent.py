"""W3C Trace Context: the client's trace, to which the order's own trace links."""

from __future__ import annotations

import re

from aiohttp import web
from msgspec.structs import replace

from events.types import OrderSubmitted

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context/#traceparent-header; other values are ignored."""


def traced(fact: OrderSubmitted, request: web.Request) -> OrderSubmitted:
    """The fact with the trace context of the request, if it has one."""
    header = request.headers.get(TRACEPARENT)
    if header is None or not _FORM.fullmatch(header):
        return fact
    return replace(fact, traceparent=header)
