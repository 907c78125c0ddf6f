"""The JSON schemas of frames, made of their shapes and of the transitions. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from events.streams import statuses_after
from events.types import FACTS, Fact
from projections.views.enums import REF
from projections.views.event_schemas import CONTROL_MESSAGES, Frame, UnknownFrame
from projections.views.orders import UNKNOWN
from projections.views.payloads import PAYLOADS

for kind in PAYLOADS.values():
    doubled = set(kind.__struct_encode_fields__) & set(Frame.__struct_encode_fields__)
    assert not doubled, f"{kind.__name__} has {doubled}, as every frame has"


def event_schemas() -> dict[str, Any]:
    """The schema of each event's frame, by its name, and of all that they refer to."""
    added = {shape.__name__ for shape in PAYLOADS.values()}
    _, parts = msgspec.json.schema_components(
        [Frame, *PAYLOADS.values(), UnknownFrame], ref_template=REF
    )
    named = {}
    for name, fact in FACTS.items():
        schema = _joined(parts["Frame"], parts[PAYLOADS[fact].__name__])
        schema["properties"]["status"] = _status(statuses_after(fact))
        named[name] = named_event(schema, name, fact.__doc__ or "")
    unknown = named_event(parts["UnknownFrame"], UNKNOWN, UnknownFrame.__doc__ or "")
    taken = added | {"Frame", "UnknownFrame"}
    others = {name: part for name, part in parts.items() if name not in taken}
    return others | named | {UNKNOWN: unknown}


def _status(statuses: list[str]) -> dict[str, Any]:
    """The status after an event: the one that there is, or one of several."""
    if len(statuses) == 1:
        return {"type": "string", "const": statuses[0], "description": "The status after it."}
    return {
        "$ref": REF.format(name="OrderStatus"),
        "description": f"The status after it: {', '.join(statuses)}.",
    }


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        "properties": first["properties"] | second["properties"],
        "required": first["required"] + second["required"],
    }


def control_message_schemas() -> dict[str, Any]:
    """The schema of each control message: a frame without an event."""
    _, parts = msgspec.json.schema_components(
        [shape for _, shape in CONTROL_MESSAGES.values()], ref_template=REF
    )
    return {
        name: named_event(parts[shape.__name__], event, shape.__doc__ or "")
        for name, (event, shape) in CONTROL_MESSAGES.items()
    }


def named_event(schema: dict[str, Any], event: str, meaning: str) -> dict[str, Any]:
    """The schema of the frame in which `event` has this value."""
    fields = schema["properties"] | {"event": {"type": "string", "const": event}}
    return {
        "title": event,
        "description": " ".join(meaning.split()),
        "type": "object",
        "properties": fields,
        "required": schema["required"],
    }


def added_fields(fact: type[Fact]) -> list[str]:
    """The names of the fields of the event's payload."""
    return list(PAYLOADS[fact].__struct_encode_fields__)
