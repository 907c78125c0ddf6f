"""The id of a request: in its answer, in a problem, and in every log line that it causes.

A client may choose it (`X-Request-Id`), so that the logs of both sides can be joined; a value that
is not a plain short word is replaced, since it goes into logs and headers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from aiohttp import web

HEADER = "X-Request-Id"
_LOWER = HEADER.lower()
PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
REQUEST_ID = web.RequestKey("request_id", str)

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The id of the request that is being answered; empty outside of one."""
    return _current.get()


def of(request: web.BaseRequest) -> str:
    """The id of a request: the client's where it is acceptable, else a new one."""
    if REQUEST_ID not in request:
        # The headers of a request that could not be parsed are an empty dict.
        values = [value for name, value in request.headers.items() if name.lower() == _LOWER]
        chosen = values[0] if len(values) == 1 else ""
        request[REQUEST_ID] = chosen if PATTERN.fullmatch(chosen) else secrets.token_hex(16)
    return request[REQUEST_ID]


@contextmanager
def bound(request: web.BaseRequest) -> Iterator[str]:
    """Binds the id to log lines and problems for the length of a block."""
    request_id = of(request)
    token = _current.set(request_id)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield request_id
    finally:
        _current.reset(token)


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp: every response carries the id, streams and sockets too."""
    response.headers[HEADER] = of(request)
