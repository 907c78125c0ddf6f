"""What an order records of its request: its id, and the client's trace, to which its own links."""

from __future__ import annotations

import re

from aiohttp import web
from msgspec.structs import replace

from events.types import OrderSubmitted
from gateway.http import request_id

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context/#traceparent-header; other values are ignored."""


def traced(fact: OrderSubmitted, request: web.Request) -> OrderSubmitted:
    """The fact with the id of the request, and its trace context where it has one."""
    header = request.headers.get(TRACEPARENT, "")
    context = header if _FORM.fullmatch(header) else ""
    return replace(fact, traceparent=context, request_id=request_id.of(request))
