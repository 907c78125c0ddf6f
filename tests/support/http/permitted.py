"""The intended permission of each endpoint: a second, independent statement for the tests.

It is not derived from `gateway.endpoints`: a wrong permission there would be expected here as
well. A new endpoint without an entry here fails `test_authorization`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import hdrs

from events.ids import new_order_id
from gateway.http import request_id
from tests.support.http.served import GOOD, Served

Key = tuple[str, str]

LIMIT = GOOD | {"type": "limit", "targetPrice": "151"}

EVENT_STREAM = {"Accept": "text/event-stream"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
UNKNOWN = new_order_id(now_ms=1_700_000_000_000)
"""A well-formed id that never was."""


class Call(NamedTuple):
    """One way to use an operation."""

    door: str
    """`http`, `sse` or `ws`."""
    status: int
    """The status for a permitted principal: any but 401 and 403."""
    query: str = ""
    body: Any = None
    headers: Mapping[str, str] = {}
    order: str = ""
    """`resting`: needs an order of its own in that state."""


class Expected(NamedTuple):
    """What is meant."""

    scope: str
    reach: str
    calls: tuple[Call, ...]


def _http(status: int, query: str = "", body: Any = None, order: str = "") -> Call:
    return Call("http", status, query, body, {}, order)


SSE = Call("sse", 200, headers=EVENT_STREAM)
WS = Call("ws", 101, headers=UPGRADE)
_OWN = "resting"
_AMEND = {"version": 2, "targetPrice": "160"}

EXPECTED: dict[Key, Expected] = {
    ("POST", "/api/orders/execute"): Expected("trade", "created", (_http(202, body=GOOD),)),
    ("GET", "/api/orders/execute"): Expected("read", "named", (_http(426), WS)),
    ("POST", "/api/orders/batch"): Expected(
        "trade", "created", (_http(202, body={"orders": [GOOD]}),)
    ),
    ("POST", "/api/orders/test"): Expected("trade", "none", (_http(200, body=GOOD),)),
    ("GET", "/api/orders"): Expected("read", "listed", (_http(200),)),
    ("DELETE", "/api/orders"): Expected("cancel", "listed", (_http(200, "?clientOrderId=none"),)),
    ("GET", "/api/orders/{id}"): Expected("read", "in-path", (_http(200, order=_OWN),)),
    ("PATCH", "/api/orders/{id}"): Expected(
        "trade", "in-path", (_http(200, body=_AMEND, order=_OWN),)
    ),
    ("DELETE", "/api/orders/{id}"): Expected("cancel", "in-path", (_http(200, order=_OWN),)),
    ("GET", "/api/orders/{id}/events"): Expected(
        "read", "in-path", (_http(200, order=_OWN), SSE._replace(order=_OWN))
    ),
    ("GET", "/api/orders/{id}/events/stream"): Expected(
        "read", "in-path", (SSE._replace(order=_OWN),)
    ),
    # None has this name: being told so is being let in.
    ("GET", "/api/orders/by-client-id/{clientOrderId}"): Expected("read", "named", (_http(404),)),
    ("GET", "/api/time"): Expected("", "none", (_http(200),)),
    ("GET", "/api/events"): Expected("read", "listed", (_http(426), SSE, WS)),
    ("GET", "/api/session"): Expected("read", "none", (_http(200),)),
    ("GET", "/api/prices/history"): Expected(
        "read", "none", (_http(200, "?tokenIn=SOL&tokenOut=USDC"),)
    ),
    ("GET", "/api/quotes"): Expected(
        "read", "none", (_http(200, "?tokenIn=SOL&tokenOut=USDC&amount=1"),)
    ),
    ("POST", "/api/admin/halt"): Expected("admin", "none", (_http(200, body={"reason": "odd"}),)),
    ("POST", "/api/admin/resume"): Expected("admin", "none", (_http(200, body={}),)),
    # It is not parked: being told so is being let in.
    **{
        ("POST", f"/api/admin/parked/{{id}}/{act}"): Expected(
            "admin", "in-path", (_http(409, body={}, order=_OWN),)
        )
        for act in ("settle", "requeue", "discard")
    },
    ("GET", "/api/audit/orders/{id}"): Expected("read", "in-path", (_http(200, order=_OWN),)),
    ("GET", "/api/audit/orders/{id}/proof"): Expected("read", "in-path", (_http(200, order=_OWN),)),
    # The gateway of the tests knows no archive to audit: being told so is being let in.
    ("GET", "/api/audit/state"): Expected("admin", "none", (_http(503),)),
    ("GET", "/api/audit/verify"): Expected("admin", "none", (_http(503),)),
    ("GET", "/healthz"): Expected("", "none", (_http(200),)),
    ("GET", "/readyz"): Expected("", "none", (_http(200),)),
    ("GET", "/metrics"): Expected("read", "none", (_http(200),)),
    ("GET", "/api/tokens"): Expected("read", "none", (_http(200),)),
    ("GET", "/"): Expected("", "none", (_http(200),)),
    ("GET", "/static/{name}"): Expected("", "none", (_http(200),)),
    ("GET", "/openapi.json"): Expected("", "none", (_http(200),)),
    ("GET", "/asyncapi.json"): Expected("", "none", (_http(200),)),
    ("GET", "/docs"): Expected("", "none", (_http(200),)),
}


def path_of(path: str, order_id: str) -> str:
    """The path with its parameters filled in."""
    names = {"{id}": order_id, "{name}": "console.js", "{clientOrderId}": "none"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


class Answered(NamedTuple):
    """The beginning of an answer."""

    status: int
    code: str
    text: str
    headers: dict[str, str]


async def ask(
    gateway: Served, key: Key, call: Call, token: str | None, order_id: str = UNKNOWN
) -> Answered:
    """Uses an operation; of streams and sockets only how they begin."""
    method, path = key
    headers = dict(call.headers) | ({"Authorization": f"Bearer {token}"} if token else {})
    url = gateway.url + path_of(path, order_id) + call.query
    async with gateway.http.request(method, url, headers=headers, json=call.body) as answer:
        stream = answer.content_type == "text/event-stream"
        # A refusal that may pass is a short stream with the problem: see `streaming.refusals`.
        refusal = stream and hdrs.RETRY_AFTER in answer.headers
        endless = answer.status == 101 or (stream and not refusal)
        text = "" if endless else await answer.text()
        status, code = answer.status, ""
        if refusal:
            [data] = re.findall("^event: problem\ndata: (.*)$", text, re.MULTILINE)
            status, code = (json.loads(data)[name] for name in ("status", "code"))
        elif answer.content_type == "application/problem+json":
            code = str(json.loads(text)["code"])
        answered = Answered(status, code, text, dict(answer.headers))
        if endless:
            answer.close()
        return answered


def alike(answered: Answered, order_id: str) -> tuple[int, str, dict[str, str]]:
    """An answer without the id that was asked for, and without what differs in any two answers."""
    headers = {name.title(): value for name, value in answered.headers.items()}
    own = headers.pop(request_id.HEADER.title())
    told = {n: v for n, v in headers.items() if n not in ("Date", "Content-Length")}
    return answered.status, answered.text.replace(order_id, "ID").replace(own, "REQUEST"), told
