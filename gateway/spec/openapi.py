"""The OpenAPI 3.1 document of the HTTP interface, made from the table of endpoints. Pure.

Its form is what the usual generators of clients read: named enumerations, a discriminator with its
mapping, one media type an answer, names of operations that a person would choose.
"""

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
    TAGS,
    Endpoint,
    Response,
)
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.http.problems import Problem
from gateway.http.request_id import HEADER, PATTERN
from gateway.schemas import readiness_schemas, response_schemas
from gateway.schemas.request_schemas import body_schemas
from gateway.spec.example_values import ORDER_ID, VALUES
from gateway.spec.finish import finished
from projections.views.enums import REF, enum_schemas
from projections.views.json_schema import event_schemas
from projections.views.orders import UNKNOWN
from projections.views.schemas import UUID, Shape

Json = dict[str, Any]

PROBLEM = "application/problem+json"
PROBLEM_CODES = "x-problem-codes"
"""Of the document: all codes; of a response: those that it may have."""
OTHER_MEDIA = "x-other-media"
"""Of an operation: media types that its answers may have instead, and their statuses. One media
type an answer is what generators can read."""
STREAMED: Json = {
    "type": "object",
    "description": "An event of a Server-Sent Events stream.",
    "properties": {
        "event": {"type": "string", "description": "The type of the message."},
        "id": {"type": "string", "description": "The cursor: send it as Last-Event-ID."},
        "data": {"type": "string", "description": "A frame, as JSON."},
    },
    "required": ["data"],
}
TEXT: Json = {"schema": {"type": "string"}}
DOCUMENT: Json = {"type": "object", "description": "A document of the API."}
_SUMMARY = (
    "Takes market, limit and sniper swap orders, and shows every step of each. Amounts are whole"
    " tokens as decimal strings. Errors are RFC 9457 problems: switch on `code`;"
    " `x-problem-codes` has all of them, `x-problems-anywhere` those that any request may get."
    " Every response carries `X-Request-Id`: the request's own `X-Request-Id` where it has 1 to 128"
    " letters, digits or `._:/+=@-`, else a new one. Log lines and problems (`requestId`) carry it"
    " too. `HEAD` is served wherever `GET` is, except for streams."
)

KEY: Json = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, made by `engine keys create`. Needed where REQUIRE_KEYS says so, as"
    " it does by default where HOST is not a loopback address.",
}
SERVER = {
    "host": {"default": "127.0.0.1", "description": "The setting HOST."},
    "port": {"default": "3000", "description": "The setting PORT."},
}
"""The variables of the server's address, in both documents."""


_REQUEST_ID = {
    "description": "The id of the request, chosen by the client or made by the gateway.",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{PATTERN.pattern}$"},
    "example": "7c1de0b9",
}
_COMMON_HEADERS: Json = {HEADER: {"$ref": "#/components/headers/RequestId"}}


def info(description: str) -> Json:
    """The `info` object of both documents, without the identifier of the licence."""
    return {
        "title": "Order execution engine",
        "version": VERSION,
        "description": description,
        "license": {"name": "Apache-2.0"},
    }


def tags() -> list[Json]:
    """The declared tags, in the order of the document."""
    return [{"name": name, "description": text} for name, text in TAGS.items()]


@cache
def openapi() -> Json:
    """The document, which callers must not change."""
    schemas = _schemas()
    paths: dict[str, Json] = {}
    for endpoint in ENDPOINTS.values():
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    about = info(_SUMMARY)
    about["license"]["identifier"] = "Apache-2.0"
    return {
        "openapi": "3.1.0",
        "info": about,
        "servers": [
            {
                "url": "http://{host}:{port}",
                "description": "Where the gateway listens; behind a proxy, its address.",
                "variables": SERVER,
            }
        ],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": KEY},
            "headers": {"RequestId": _REQUEST_ID},
        },
        PROBLEM_CODES: {
            code: {"status": status, "title": title} for code, (status, title) in CODES.items()
        },
        "x-problems-anywhere": list(COMMON_PROBLEMS),
    }


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": REF.format(name=name)}


def _one_event() -> Json:
    """The schema of any event's frame."""
    names = [*FACTS, UNKNOWN]
    return {
        "description": "The frame of an event.",
        "oneOf": [ref(name) for name in names],
        "discriminator": {
            "propertyName": "event",
            "mapping": {name: REF.format(name=name) for name in names},
        },
    }


def _schemas() -> dict[str, Json]:
    shapes: list[type[Shape]] = [response_schemas.Problem]
    for endpoint in ENDPOINTS.values():
        schemas = (response.shape for response in endpoint.responses.values())
        shapes += [shape for shape in schemas if isinstance(shape, type)]
    _, parts = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=REF)
    history = {
        "type": "object",
        "description": "All that happened to an order.",
        "properties": {
            "orderId": parts["Accepted"]["properties"]["orderId"],
            "events": {"type": "array", "items": ref("EventFrame")},
        },
        "required": ["orderId", "events"],
    }
    codes = {
        response_schemas.ERROR_CODE: response_schemas.error_codes(),
        readiness_schemas.READINESS_CODE: readiness_schemas.readiness_codes(),
    }
    events = event_schemas() | {"EventFrame": _one_event(), HISTORY: history}
    others = {"StreamMessage": STREAMED, "Document": DOCUMENT} | codes
    parameters = [endpoint.query for endpoint in ENDPOINTS.values()]
    return finished(parts | events | body_schemas() | others, enum_schemas(), parameters)


def _operation(endpoint: Endpoint, schemas: dict[str, Json]) -> Json:
    document: Json = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schemas),
        "security": [],
    }
    if not endpoint.permission.public:
        document["security"] = [{"key": []}, {}]
        document["x-scope"] = endpoint.permission.scope
    if endpoint.body:
        content = {"schema": ref(endpoint.body), "example": _example(endpoint.body, schemas)}
        document["requestBody"] = {"required": True, "content": {JSON: content}}
    if endpoint.other_media:
        document[OTHER_MEDIA] = {
            media: [str(status) for status in statuses]
            for media, statuses in endpoint.other_media.items()
        }
    return document


def _example(name: str, schemas: dict[str, Json]) -> Any:
    return schemas[name]["examples"][0]


_IN_PATH: dict[str, tuple[str, Json, str]] = {
    "id": ("The id of the order.", {"type": "string", "format": "uuid", "pattern": UUID}, ORDER_ID),
    "name": ("The name of the file.", {"type": "string"}, "console.js"),
    "clientOrderId": (
        "The client's own name for the order, percent-encoded.",
        {"type": "string", "minLength": 1, "maxLength": 128},
        str(VALUES["clientOrderId"]),
    ),
}
"""The parameters of paths: description, schema, example."""


def _parameters(endpoint: Endpoint) -> list[Json]:
    parameters = []
    for name in re.findall(r"{(\w+)}", endpoint.path):
        description, schema, example = _IN_PATH[name]
        parameters.append(_parameter(name, "path", dict(schema), True, description, example))
    for name, described in (endpoint.query or {}).items():
        own = dict(described)
        description = own.pop("description")
        example = own.pop("example")
        parameters.append(
            _parameter(name, "query", own, name in endpoint.required, description, example)
        )
    for header in endpoint.headers:
        parameters.append(
            _parameter(
                header.name, "header", {"type": "string"}, False, header.description, header.example
            )
        )
    return parameters


def _parameter(
    name: str, place: str, schema: Json, required: bool, description: str, example: Any
) -> Json:
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _responses(endpoint: Endpoint, schemas: dict[str, Json]) -> Json:
    responses = {
        str(status): _response(spec, schemas) for status, spec in endpoint.responses.items()
    }
    for status, codes in endpoint.problems_by_status().items():
        assert str(status) not in responses, f"{endpoint.path}: {status} has one media type"
        example = Problem(codes[0]).document()
        example.pop("requestId", None)  # of the request for which the document is made
        content = {"schema": ref("Problem"), "example": example}
        responses[str(status)] = {
            "description": f"{_titles(codes)}: {', '.join(f'`{code}`' for code in codes)}",
            "headers": _COMMON_HEADERS,
            "content": {PROBLEM: content},
            PROBLEM_CODES: codes,
        }
    return dict(sorted(responses.items()))


def _titles(codes: list[str]) -> str:
    return CODES[codes[0]][1] if len(codes) == 1 else "One of these problems"


def _response(response: Response, schemas: dict[str, Json]) -> Json:
    headers: Json = {
        header.name: {
            "description": header.description,
            "schema": {"type": "string"},
            "example": header.example,
        }
        for header in response.headers
    }
    document: Json = {"description": response.description, "headers": headers | _COMMON_HEADERS}
    if response.shape is not None:
        name = response.shape if isinstance(response.shape, str) else response.shape.__name__
        content = {"schema": ref(name), "example": _example(name, schemas)}
        document["content"] = {response.media: content}
    elif response.media:
        # Before OpenAPI 3.2 the schema of an event stream describes each event.
        name = {STREAM: "StreamMessage", JSON: "Document"}.get(response.media, "")
        content = {"schema": ref(name), "example": _example(name, schemas)} if name else TEXT
        document["content"] = {response.media: content}
    return document
