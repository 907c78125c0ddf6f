"""Holds what passes a gateway of the tests against /openapi.json and /asyncapi.json.

Undocumented routes, statuses, codes, fields, parameters and frames are faults. What a request
asked for is looked at where it was granted: a refused one may be as odd as it likes. Clients are
told that answers may gain fields; here every object is closed.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator

from gateway.endpoints.table import ENDPOINTS
from gateway.http.request_id import HEADER
from gateway.spec.asyncapi import OPERATIONS, asyncapi
from gateway.spec.openapi import OTHER_MEDIA, PROBLEM, PROBLEM_CODES, openapi
from gateway.streaming.transport import Socket

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FLOOD = 1_000
ANYWHERE = ("not-found", "method-not-allowed")
DOCUMENTS = {"openapi": openapi, "asyncapi": asyncapi}


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    results = {name: closed(item) for name, item in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "$ref" not in schema:
        results.setdefault("additionalProperties", False)
    return results


@cache
def components(document: str) -> Json:
    return {"schemas": closed(DOCUMENTS[document]()["components"]["schemas"])}


@cache
def _validator(document: str, schema: str) -> Draft202012Validator:
    own = closed(json.loads(schema))
    return Draft202012Validator(own | {"components": components(document)})


def faults_of(document: str, schema: Json, value: Any) -> list[str]:
    """What of the value the schema of a document does not allow."""
    validator = _validator(document, json.dumps(schema, sort_keys=True))
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


class Checker:
    """Keeps what passed one gateway; checks it at the end, so that no test waits for the checks."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        """Method and path of each operation that was asked for."""
        self._passed: list[Callable[[], list[str]]] = []
        self._frames: dict[tuple[str, str], None] = {}

    def faults(self) -> list[str]:
        """Everything that no document says. A flood of one event is judged by its first 1,000."""
        faults = [fault for judge in self._passed for fault in judge()]
        seen: Counter[tuple[str, str]] = Counter()
        for path, text in self._frames:
            content = json.loads(text)
            kind = (path, str(content.get("event")))
            seen[kind] += 1
            if seen[kind] <= FLOOD:
                results = _output(path, content)
                faults += [f"frame of {path}: {fault} in {text[:300]}" for fault in results]
        return faults

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
            operation = self._operation(request)
            if operation is not None and "101" in operation["responses"]:
                _following.set((self, request.path))
            response = await handler(request)
            if request.method == "OPTIONS":  # a CORS preflight is not part of the API
                return response
            body = b""
            if operation is not None and request.match_info.route.resource is not None:
                path = request.match_info.route.resource.canonical
                self.asked.add((request.method, path))
            if operation is not None and "requestBody" in operation and response.status < 400:
                body = await request.read()
            self._passed.append(partial(_faults, request, operation, response, body))
            return response

        return checked

    @staticmethod
    def _operation(request: web.Request) -> Json | None:
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else ""
        method = request.method.lower()
        if (endpoint := ENDPOINTS.get(("GET", path))) and request.method in endpoint.methods:
            method = "get"  # HEAD is documented by it
        value: Json | None = openapi()["paths"].get(path, {}).get(method)
        return value

    def frame(self, path: str, text: str) -> None:
        """A message that the gateway sends to a socket at this path."""
        self._frames[path, text] = None


def _faults(
    request: web.Request, operation: Json | None, response: web.StreamResponse, body: bytes
) -> list[str]:
    answer_faults = list(_answer_faults(operation, response))
    if operation is not None and response.status < 400:
        answer_faults += _query_faults(operation, request)
        if "requestBody" in operation:
            answer_faults += _body_faults(operation, body, response)
    if not isinstance(response, web.WebSocketResponse) and HEADER not in response.headers:
        answer_faults.append(f"no {HEADER}")
    return [
        f"{request.method} {request.path_qs} {response.status}: {item}" for item in answer_faults
    ]


def _answer_faults(operation: Json | None, response: web.StreamResponse) -> list[str]:
    if isinstance(response, web.WebSocketResponse):
        known = operation is not None and "101" in operation["responses"]
        return [] if known else ["an undocumented socket"]
    if not isinstance(response, web.Response):
        return _stream_faults(operation, response)
    body = response.body or b""
    assert isinstance(body, bytes)
    if operation is None:
        known = response.content_type == PROBLEM and json.loads(body).get("code") in ANYWHERE
        return [] if known else ["an undocumented route"]
    return _body_of_answer_faults(operation, response, body)


def _body_of_answer_faults(operation: Json, response: web.Response, body: bytes) -> list[str]:
    if _other_media(operation, response):
        return []
    documented = operation["responses"].get(str(response.status))
    if documented is None:
        return [f"an undocumented status: {body[:200]!r}"]
    contents = documented.get("content", {})
    content = contents.get(response.content_type)
    if content is None and (body or contents):
        return [f"undocumented content: {response.content_type} {body[:200]!r}"]
    if content is None or not response.content_type.endswith("json"):
        return []
    return _content_faults(content["schema"], documented.get(PROBLEM_CODES), json.loads(body))


def _content_faults(schema: Json, codes: list[str] | None, content: Any) -> list[str]:
    """Of a JSON answer; `codes`: those that a problem may have at this operation and status."""
    faults = faults_of("openapi", schema, content)
    if codes is not None and content["code"] not in codes:
        faults.append(f"an undocumented code: {content['code']}")
    return faults


def _stream_faults(operation: Json | None, response: web.StreamResponse) -> list[str]:
    """Of an answer whose body is nowhere as a whole."""
    if operation is not None and _other_media(operation, response):
        return []
    responses = {} if operation is None else operation["responses"]
    content = responses.get(str(response.status), {}).get("content", {})
    return [] if response.content_type in content else [f"undocumented: {response.content_type}"]


def _other_media(operation: Json, response: web.StreamResponse) -> bool:
    """Whether the answer is one of those that depend on the request's Accept header."""
    empty = response.status == 204
    return any(
        str(response.status) in statuses and (empty or media == response.content_type)
        for media, statuses in operation.get(OTHER_MEDIA, {}).items()
    )


def _query_faults(operation: Json, request: web.Request) -> list[str]:
    table = {p["name"]: p["schema"] for p in operation["parameters"] if p["in"] == "query"}
    if not table and operation["operationId"] not in _STRICT:
        return []
    result = []
    for name, text in request.query.items():
        schema = table.get(name)
        if schema is None:
            result.append(f"an undocumented parameter: {name}")
            continue
        value = _value_of(text, schema.get("type"))
        result += [f"{name}{fault}" for fault in faults_of("openapi", schema, value)]
    return result


def _value_of(text: str, kind: str | None) -> Any:
    """The value of a parameter, as its schema describes it."""
    match kind:
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case "array":
            return text.split(",")
        case _:
            return text


@cache
def _order_faults(order: str) -> list[str]:
    return faults_of("openapi", {"$ref": "#/components/schemas/OrderRequest"}, json.loads(order))


_STRICT = frozenset(
    operation["operationId"]
    for path, row in openapi()["paths"].items()
    for method, operation in row.items()
    if "{id}" in path or "admin" in path
)
"""They refuse every parameter that they do not have."""


def _without_nulls(content: Any, schema: Json) -> Any:
    """An order without its null fields, which count as absent: also those of another type, which
    no schema has.
    """
    if not schema["$ref"].endswith("OrderRequest"):
        return content
    return {name: value for name, value in content.items() if value is not None}


def _body_faults(operation: Json, body: bytes, response: web.StreamResponse) -> list[str]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    outcome = _without_nulls(json.loads(body), schema)
    if "BatchRequest" not in schema["$ref"]:
        return faults_of("openapi", schema, outcome)
    # An order of a batch that is none is rejected alone: the others are taken.
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    results = json.loads(response.body)["results"]
    orders = [outcome["orders"][r["index"]] for r in results if r["status"] != "rejected"]
    taken = [_without_nulls(order, {"$ref": "OrderRequest"}) for order in orders]
    faults = [fault for order in taken for fault in _order_faults(json.dumps(order))]
    return faults + (faults_of("openapi", schema, outcome | {"orders": taken}) if taken else [])


@cache
def _payloads(path: str) -> list[tuple[str, str]]:
    """For a channel: the value of `event`, and the name of the schema."""
    document = asyncapi()
    channel = next(name for name, c in document["channels"].items() if c["address"] == path)
    at = f"#/channels/{channel}/messages/"
    result = []
    for message in document["operations"][OPERATIONS["send", channel]]["messages"]:
        name = message["$ref"].removeprefix(at)
        result.append((document["components"]["schemas"][name]["title"], name))
    return result


def _output(path: str, content: Json) -> list[str]:
    faults: list[str] = [f"an undocumented event: {content.get('event')}"]
    for event, name in _payloads(path):
        if event == content.get("event"):
            faults = faults_of("asyncapi", {"$ref": f"#/components/schemas/{name}"}, content)
            if not faults:
                return []
    return faults


# ---------------------------------------------------------------------------------------------
# Frames, where they leave.

_following: ContextVar[tuple[Checker, str] | None] = ContextVar("following", default=None)


class CheckedSocket(Socket):
    """Shows what it sends to the checker of its gateway."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._checker = _following.get()

    def write(self, frames: bytes) -> None:
        if self._checker is not None and not self.closed:
            checker, path = self._checker
            for text in texts(frames):
                checker.frame(path, text)
        super().write(frames)


def texts(frames: bytes) -> list[str]:
    """The text messages of a server's frames: not masked, not in parts."""
    collected, at = [], 0
    while at < len(frames):
        kind, size = frames[at], frames[at + 1]
        start = at + 2
        if size == 126:
            size, start = int.from_bytes(frames[at + 2 : at + 4]), at + 4
        elif size == 127:
            size, start = int.from_bytes(frames[at + 2 : at + 10]), at + 10
        at = start + size
        if kind == 0x81:
            collected.append(frames[start:at].decode())
    return collected
