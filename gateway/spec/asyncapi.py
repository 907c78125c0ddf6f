"""The AsyncAPI 3 document of the WebSockets. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any

from events.types import FACTS
from gateway.endpoints.table import ENDPOINTS
from gateway.spec.finish import finished
from gateway.spec.openapi import KEY, SERVER, info, ref
from projections.views.enums import enum_schemas
from projections.views.json_schema import control_message_schemas, event_schemas
from projections.views.orders import UNKNOWN
from projections.views.schemas import UUID

Json = dict[str, Any]

CLOSE_CODES = {
    1000: "the order ended",
    1011: "a bug of the engine",
    1012: "the gateway restarts: resume from the last cursor",
    1013: "try again later",
    4401: "the key is good no more",
    4404: "unknown order",
    4408: "too slow: resume from the last cursor",
}
_EVENTS = (*FACTS, UNKNOWN)
RECEIVED = {
    "orders": (*_EVENTS, "Lost", "Shutdown", "Following", "Unfollowed", "FollowFault"),
    "events": (*_EVENTS, "Heartbeat", "Lost", "Shutdown"),
}
"""The messages that a client of each channel receives."""

SENT = {"orders": ("Follow",)}
OPERATIONS = {
    ("send", "orders"): "receiveOrderEvents",
    ("receive", "orders"): "followOrder",
    ("send", "events"): "receiveEvents",
}
"""Action of the gateway and channel -> the operation, named for what a client does."""
_ABOUT = {
    ("send", "orders"): "Receive the events of the orders that are followed",
    ("receive", "orders"): "Follow an order",
    ("send", "events"): "Receive every event",
}
_MEANING = {
    "orders": "The history of each order that is followed, then live. With `orderId` it closes when"
    " that order ended; without, say Follow for each order.",
    "events": "Every event of every order after a place, in order, without gaps, once.",
}


@cache
def asyncapi() -> Json:
    """The document, which callers must not change."""
    schemas = _schemas()
    messages = {name for names in (*RECEIVED.values(), *SENT.values()) for name in names}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:oee:gateway",
        "info": info("What the WebSockets say: each message is one JSON object."),
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}:{port}",
                "protocol": "ws",
                "description": "Where the gateway listens; `wss` behind a proxy with TLS. A browser"
                " sends the key as the subprotocol `bearer.KEY` beside `oee`.",
                "variables": SERVER,
                "security": [{"$ref": "#/components/securitySchemes/key"}],
            }
        },
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {
            "schemas": schemas,
            "messages": {name: _message(name, schemas[name]) for name in sorted(messages)},
            "securitySchemes": {"key": KEY},
        },
        "x-close-codes": {str(code): meaning for code, meaning in CLOSE_CODES.items()},
    }


def _schemas() -> Json:
    follow = {
        "description": "Follow this order, too, or no longer.",
        "type": "object",
        "properties": {
            "orderId": {"type": "string", "format": "uuid", "pattern": UUID},
            "follow": {"type": "boolean"},
            "id": {"type": "string", "minLength": 1, "maxLength": 64},
        },
        "required": ["orderId"],
        "additionalProperties": False,
    }
    schemas = event_schemas() | control_message_schemas() | {"Follow": follow}
    parameters = [endpoint.query for endpoint in ENDPOINTS.values() if endpoint.channel]
    return finished(schemas, enum_schemas(), parameters)


def _message(name: str, schema: Json) -> Json:
    return {
        "name": name,
        "title": schema.get("title", name),
        "summary": schema["description"],
        "payload": ref(name),
        "examples": [{"name": name, "payload": schema["examples"][0]}],
    }


def _channels() -> list[tuple[str, Json]]:
    messages = []
    for endpoint in ENDPOINTS.values():
        if name := endpoint.channel:
            names = (*RECEIVED[name], *SENT.get(name, ()))
            fields = {
                field: {key: value for key, value in schema.items() if key != "example"}
                for field, schema in (endpoint.query or {}).items()
            }
            query = {"type": "object", "properties": fields}
            channel = {
                "address": endpoint.path,
                "title": endpoint.summary,
                "description": _MEANING[name],
                "messages": {item: {"$ref": f"#/components/messages/{item}"} for item in names},
                "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
            }
            messages.append((name, channel))
    return messages


def _operations() -> list[tuple[str, Json]]:
    """The operations from the gateway's view: it sends what clients receive."""
    operations = []
    for action, table in (("send", RECEIVED), ("receive", SENT)):
        for channel, names in table.items():
            at = f"#/channels/{channel}"
            messages = [{"$ref": f"{at}/messages/{name}"} for name in names]
            operation = {
                "action": action,
                "channel": {"$ref": at},
                "summary": _ABOUT[action, channel],
                "messages": messages,
            }
            operations.append((OPERATIONS[action, channel], operation))
    return operations
