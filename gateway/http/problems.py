"""All errors of the API as RFC 9457 problems, with the codes of `problem_codes`.

Clients switch on `code`. `detail` is for people and may change; it never holds a stack trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from gateway.http import request_id
from gateway.http.problem_codes import CODES

RETRY_AFTER_S = 1
"""Least Retry-After of a 503 or 429; outages of the log are checked more often than that."""

CLOSING = ("too-many-connections",)
"""Codes after which the connection is closed: kept open it would count as one more."""


SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every response that is not a page: no caching, framing or sniffing."""
PROBLEM_HEADERS = {"Content-Type": "application/problem+json", **SAFE}

_encode = msgspec.json.Encoder().encode


def to_json(content: Any) -> bytes:
    """JSON as a line of text: a terminal shows it, and the prompt begins on the next line."""
    return _encode(content) + b"\n"


class FieldError(NamedTuple):
    """A fault of one field."""

    code: str
    pointer: str
    """JSON pointer (RFC 6901) of the field."""
    detail: str


class Problem(Exception):
    """Ends a request with a problem document. `fields` are further members of the document."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        faults: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = CODES[code][0]
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}
        self.fields = fields

    def document(self) -> dict[str, Any]:
        """The problem as JSON."""
        status, title = CODES[self.code]
        document = {"type": f"urn:oee:problem:{self.code}", "title": title, "status": status}
        document |= {"code": self.code, "detail": self.detail or title} | self.fields
        if self.faults:
            document["pointer"] = self.faults[0].pointer
            document["errors"] = [fault._asdict() for fault in self.faults]
        return document

    def response(self) -> web.Response:
        """The problem as a response."""
        headers = PROBLEM_HEADERS | self.headers
        if self.status in (429, 503):
            headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        document = self.document()
        if of_request := request_id.current():
            document["requestId"] = of_request
        response = web.Response(body=to_json(document), status=self.status, headers=headers)
        if self.code in CLOSING:
            response.force_close()
        return response


def invalid(faults: Sequence[FieldError]) -> Problem:
    """The problem of a request with these faults, named after the first."""
    return Problem(faults[0].code, faults[0].detail, faults=faults)
