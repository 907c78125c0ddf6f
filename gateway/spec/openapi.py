"""The OpenAPI 3.1 document of the HTTP interface, made from `operations`. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from events.types import FACTS
from events.version import VERSION
from gateway.http.problems import CODES
from gateway.middleware.authorization import PERMISSIONS, Permission
from gateway.schemas.request_schemas import body_schemas
from gateway.schemas.response_schemas import Problem
from gateway.spec.operations import (
    COMMON_PROBLEMS,
    HISTORY,
    JSON,
    OPERATIONS,
    STREAM,
    Answer,
    Operation,
    problem_of,
)
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
    " Every response carries `Server: order-execution-engine/VERSION`."
)


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, made by `engine keys create`. Needed where REQUIRE_KEYS says so, as"
    " it does by default where HOST is not a loopback address.",
}


def info(description: str) -> Json:
    """What both documents say of themselves."""
    return {
        "title": "Order execution engine",
        "version": VERSION,
        "description": description,
        "license": {"name": "Apache-2.0"},
    }


@cache
def openapi() -> Json:
    """The document. Nobody may change it."""
    paths: dict[str, Json] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, operation)
    return {
        "openapi": "3.1.0",
        "info": info(_SUMMARY),
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"key": _KEY}},
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
    for operation in OPERATIONS.values():
        schemas = (answer.shape for answer in operation.answers.values())
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


def _operation(method: str, path: str, operation: Operation) -> Json:
    permission = PERMISSIONS[method, path]
    document: Json = {
        "operationId": _id_of(method, path),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(path, operation),
        "responses": _responses(operation, permission),
    }
    if not permission.public:
        document["security"] = [{"key": [permission.scope]}, {}]
    if operation.body:
        content = {JSON: {"schema": ref(operation.body)}}
        document["requestBody"] = {"required": True, "content": content}
    return document


def _id_of(method: str, path: str) -> str:
    return "-".join([method.lower(), *re.findall(r"[\w.]+", path)])


def _parameters(path: str, operation: Operation) -> list[Json]:
    parameters = [
        _parameter(name, "path", {"type": "string", "format": "uuid", "pattern": UUID}, True)
        for name in re.findall(r"{(\w+)}", path)
    ]
    for name, schema in (operation.query or {}).items():
        parameters.append(_parameter(name, "query", dict(schema), name in operation.required))
    for header in operation.headers:
        schema = {"type": "string", "description": header.description}
        parameters.append(_parameter(header.name, "header", schema, False))
    return parameters


def _parameter(name: str, place: str, schema: Json, required: bool) -> Json:
    description = schema.pop("description", "")
    document: Json = {"name": name, "in": place, "required": required, "schema": schema}
    return document | {"description": description} if description else document


def _responses(operation: Operation, permission: Permission) -> Json:
    responses = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    for status, codes in operation.problems(permission).items():
        response = responses.setdefault(str(status), {"description": _titles(codes), "content": {}})
        response["content"][PROBLEM] = {"schema": problem_of(codes)}
    return dict(sorted(responses.items()))


def _titles(codes: list[str]) -> str:
    return CODES[codes[0]][1] if len(codes) == 1 else "One of these problems"


def _answer(answer: Answer) -> Json:
    document: Json = {"description": answer.description, "content": {}}
    if answer.headers:
        document["headers"] = {
            header.name: {"description": header.description, "schema": {"type": "string"}}
            for header in answer.headers
        }
    if answer.shape is not None:
        name = answer.shape if isinstance(answer.shape, str) else answer.shape.__name__
        document["content"][answer.media] = {"schema": ref(name)}
    elif answer.media:
        document["content"][answer.media] = {"schema": _untyped(answer.media, answer.kind)}
    for media in answer.others:
        document["content"][media] = {"schema": _untyped(media, "string")}
    return document


def _untyped(media: str, kind: str) -> Json:
    # Before OpenAPI 3.2 the schema of an event stream describes each event.
    return STREAMED if media == STREAM else {"type": kind}
