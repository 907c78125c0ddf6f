"""The OpenAPI 3.1 document of the HTTP interface, made from the table of endpoints. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from events.types import FACTS
from events.version import VERSION
from gateway.endpoints.endpoint import (
    COMMON_PROBLEMS,
    HISTORY,
    JSON,
    STREAM,
    Endpoint,
    Response,
)
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problems import CODES
from gateway.http.request_id import HEADER, PATTERN
from gateway.schemas.request_schemas import body_schemas
from gateway.schemas.response_schemas import Problem
from projections.views.json_schema import REF, event_schemas
from projections.views.orders import UNKNOWN
from projections.views.schemas import UUID, Shape

Json = dict[str, Any]

PROBLEM = "application/problem+json"
STREAMED: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "required": ["data"],
}
_SUMMARY = (
    "Takes market, limit and sniper swap orders, and shows every step of each. Amounts are whole"
    " tokens as decimal strings. Errors are RFC 9457 problems: switch on `code`;"
    " `x-problem-codes` has all of them, `x-problems-anywhere` those that any request may get."
    " Every response carries `X-Request-Id`: the request's own `X-Request-Id` where it has 1 to 128"
    " letters, digits or `._:/+=@-`, else a new one. Log lines and problems (`requestId`) carry it"
    " too. `HEAD` is served wherever `GET` is, except for streams."
)


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, made by `engine keys create`. Needed where REQUIRE_KEYS says so, as"
    " it does by default where HOST is not a loopback address.",
}


_REQUEST_ID = {
    "description": "The id of the request, chosen by the client or made by the gateway.",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{PATTERN.pattern}$"},
}
_COMMON_HEADERS: Json = {HEADER: {"$ref": "#/components/headers/RequestId"}}


def info(description: str) -> Json:
    """The `info` object of both documents."""
    return {
        "title": "Order execution engine",
        "version": VERSION,
        "description": description,
        "license": {"name": "Apache-2.0"},
    }


@cache
def openapi() -> Json:
    """The document, which callers must not change."""
    paths: dict[str, Json] = {}
    for endpoint in ENDPOINTS.values():
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": info(_SUMMARY),
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": _KEY},
            "headers": {"RequestId": _REQUEST_ID},
        },
        "x-problem-codes": {
            code: {"status": status, "title": title} for code, (status, title) in CODES.items()
        },
        "x-problems-anywhere": list(COMMON_PROBLEMS),
    }


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": REF.format(name=name)}


def one_event() -> Json:
    """The schema of any event's frame."""
    names = [*FACTS, UNKNOWN]
    mapping = {name: REF.format(name=name) for name in names}
    return {
        "oneOf": [ref(name) for name in names],
        "discriminator": {"propertyName": "event", "mapping": mapping},
    }


def _schemas() -> Json:
    shapes: list[type[Shape]] = [Problem]
    for endpoint in ENDPOINTS.values():
        schemas = (response.shape for response in endpoint.responses.values())
        shapes += [shape for shape in schemas if isinstance(shape, type)]
    _, parts = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=REF)
    history = {
        "type": "object",
        "description": "All that happened to an order.",
        "properties": {
            "orderId": parts["Accepted"]["properties"]["orderId"],
            "events": {"type": "array", "items": one_event()},
        },
        "required": ["orderId", "events"],
    }
    every = parts | event_schemas() | body_schemas() | {HISTORY: history}
    return {name: every[name] for name in sorted(every)}


def _operation(endpoint: Endpoint) -> Json:
    document: Json = {
        "operationId": _id_of(endpoint.method, endpoint.path),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
    }
    if not endpoint.permission.public:
        document["security"] = [{"key": [endpoint.permission.scope]}, {}]
    if endpoint.body:
        content = {JSON: {"schema": ref(endpoint.body)}}
        document["requestBody"] = {"required": True, "content": content}
    return document


def _id_of(method: str, path: str) -> str:
    return "-".join([method.lower(), *re.findall(r"[\w.]+", path)])


def _parameters(endpoint: Endpoint) -> list[Json]:
    parameters = [
        _parameter(name, "path", {"type": "string", "format": "uuid", "pattern": UUID}, True)
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    for name, schema in (endpoint.query or {}).items():
        parameters.append(_parameter(name, "query", dict(schema), name in endpoint.required))
    for header in endpoint.headers:
        schema = {"type": "string", "description": header.description}
        parameters.append(_parameter(header.name, "header", schema, False))
    return parameters


def _parameter(name: str, place: str, schema: Json, required: bool) -> Json:
    description = schema.pop("description", "")
    document: Json = {"name": name, "in": place, "required": required, "schema": schema}
    return document | {"description": description} if description else document


def _responses(endpoint: Endpoint) -> Json:
    responses = {str(status): _response(spec) for status, spec in endpoint.responses.items()}
    for status, codes in endpoint.problems_by_status().items():
        blank: Json = {"description": _titles(codes), "headers": _COMMON_HEADERS, "content": {}}
        response = responses.setdefault(str(status), blank)
        response["content"][PROBLEM] = {"schema": _problem_of(codes)}
    return dict(sorted(responses.items()))


def _problem_of(codes: list[str]) -> Json:
    """The schema of a problem with one of these codes."""
    return {
        "$ref": "#/components/schemas/Problem",
        "type": "object",
        "properties": {"code": {"enum": codes}},
    }


def _titles(codes: list[str]) -> str:
    return CODES[codes[0]][1] if len(codes) == 1 else "One of these problems"


def _response(response: Response) -> Json:
    headers: Json = {
        header.name: {"description": header.description, "schema": {"type": "string"}}
        for header in response.headers
    }
    document: Json = {
        "description": response.description,
        "headers": headers | _COMMON_HEADERS,
        "content": {},
    }
    if response.shape is not None:
        name = response.shape if isinstance(response.shape, str) else response.shape.__name__
        document["content"][response.media] = {"schema": ref(name)}
    elif response.media:
        document["content"][response.media] = {"schema": _untyped(response.media, response.kind)}
    for media in response.others:
        document["content"][media] = {"schema": _untyped(media, "string")}
    return document


def _untyped(media: str, kind: str) -> Json:
    # Before OpenAPI 3.2 the schema of an event stream describes each event.
    return STREAMED if media == STREAM else {"type": kind}
