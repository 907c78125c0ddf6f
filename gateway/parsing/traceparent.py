"""W3C Trace Context: the trace of whoever submits an order, which the order's own links to."""

from __future__ import annotations

import re

from aiohttp import web
from msgspec.structs import replace

from events.types import OrderSubmitted

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context/#traceparent-header; what is none is to be ignored."""


def traced(fact: OrderSubmitted, request: web.Request) -> OrderSubmitted:
    """The fact with the trace of the request, if it is part of one."""
    header = request.headers.get(TRACEPARENT)
    if header is None or not _FORM.fullmatch(header):
        return fact
    return replace(fact, traceparent=header)
