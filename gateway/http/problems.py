"""All errors of the API as RFC 9457 problems: one table of stable codes.

Clients switch on `code`. `detail` is for people and may change; it never holds a stack trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from gateway.http import request_id

RETRY_AFTER_S = 1
"""Least Retry-After of a 503 or 429; outages of the log are checked more often than that."""

CLOSING = ("too-many-connections",)
"""Codes after which the connection is closed: kept open it would count as one more."""

CODES: dict[str, tuple[int, str]] = {
    "malformed-request": (400, "The request cannot be read as HTTP"),
    "malformed-json": (400, "The body is not valid JSON"),
    "json-too-deep": (400, "The body is nested too deeply"),
    "wrong-type": (400, "A value is not of the expected type"),
    "missing-field": (400, "A required field is missing"),
    "unknown-field": (400, "A field is not known"),
    "too-many-fields": (400, "The object has more fields than anything here"),
    "duplicate-field": (400, "A field stands there more than once"),
    "field-not-allowed": (400, "A field does not belong to this type of order"),
    "exclusive-fields": (400, "Two fields say the same thing differently"),
    "unsupported-time-in-force": (400, "This type of order has no such time in force"),
    "unsupported-swap-mode": (400, "The swap mode is not supported"),
    "unsupported-type": (400, "This order type is not supported"),
    "unknown-token": (400, "The token is not known"),
    "same-token": (400, "Both tokens are the same"),
    "amount-malformed": (400, "An amount is not a decimal number"),
    "amount-not-positive": (400, "An amount must be greater than zero"),
    "amount-too-large": (400, "An amount is too large"),
    "too-many-decimals": (400, "An amount or a price has too many decimals"),
    "price-malformed": (400, "A price is not a decimal number"),
    "price-not-positive": (400, "A price must be greater than zero"),
    "price-out-of-range": (400, "A price is too large or too small"),
    "slippage-out-of-range": (400, "The slippage is out of range"),
    "malformed-time": (400, "A time is not ISO 8601 with a zone"),
    "expires-at-past": (400, "The order would have expired already"),
    "malformed-client-order-id": (400, "The client order id is not acceptable"),
    "malformed-idempotency-key": (400, "The Idempotency-Key is not acceptable"),
    "malformed-version": (400, "The version is not a version of an order"),
    "malformed-text": (400, "A text is empty, too long or not printable"),
    "filter-required": (400, "Say which orders, or all=true"),
    "batch-size": (400, "A batch has 1 to 500 orders"),
    "malformed-order-id": (400, "The order id is not a UUID"),
    "malformed-cursor": (400, "The cursor is not of this engine"),
    "missing-parameter": (400, "A query parameter is missing"),
    "malformed-parameter": (400, "A query parameter is not acceptable"),
    "unauthenticated": (401, "A key is needed, and none that is good came along"),
    "scope-missing": (403, "The key is not good for this"),
    "host-forbidden": (403, "This Host is not served"),
    "origin-forbidden": (403, "Pages of this Origin may not use this engine"),
    "not-found": (404, "There is nothing here"),
    "unknown-order": (404, "There is no such order"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "request-timeout": (408, "The body took too long to come"),
    "too-late": (409, "The order is past where this can be done"),
    "not-watching": (409, "The order is not waiting for a price or a pool"),
    "not-parked": (409, "The order is not parked, or this could contradict the chain"),
    "not-settled": (409, "The chain's record does not settle the order: see `reason`"),
    "version-conflict": (409, "The order changed meanwhile"),
    "payload-too-large": (413, "The body is too large"),
    "expectation-failed": (417, "The expectation is not one that can be met"),
    "unsupported-media-type": (415, "The body must be application/json"),
    "idempotency-conflict": (422, "The key was used for another request"),
    "headers-too-large": (431, "The request line or a header is too long"),
    "upgrade-required": (426, "This is a WebSocket"),
    "rate-limited": (429, "Too many requests: see Retry-After"),
    "too-many-connections": (429, "Too many sockets and streams are open"),
    "internal": (500, "The engine has a bug"),
    "unreadable-order": (500, "This build cannot read the order"),
    "audit-busy": (503, "Another audit is under way: one at a time"),
    "venues-unavailable": (503, "The venues do not answer now"),
    "log-unavailable": (503, "The log cannot be reached; nothing was written"),
    "suspended": (503, "Neither orders nor acts are taken for now; nothing was written"),
    "log-full": (503, "The log takes no new orders for now; nothing was written"),
    "outcome-unknown": (
        503,
        "It may have been done: look the order up, or retry (an order with a key)",
    ),
    "archive-unavailable": (503, "The archive cannot be reached"),
    "history-lost": (503, "Part of the history is in neither log nor archive"),
}

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
