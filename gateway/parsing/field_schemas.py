"""JSON Schemas of values, as `values` reads them."""

from __future__ import annotations

from typing import Any

from gateway.parsing import values
from projections.views.enums import REF

Schema = dict[str, Any]

TIME: Schema = {
    "anyOf": [{"type": "string"}, {"type": "integer"}],
    "description": "Nothing is sent after it: ISO 8601 with a zone, or Unix milliseconds",
}
KEY = f"^{values.KEY}$"


def decimal(description: str, example: str = "") -> Schema:
    """A decimal number, as a string or as a JSON number."""
    string = {
        "type": "string",
        "pattern": f"^{values.NUMBER}$",
        "maxLength": values.AMOUNT_LENGTH - 2,
    }
    schema: Schema = {"description": description} | ({"examples": [example]} if example else {})
    return {"anyOf": [string, {"type": "number"}]} | schema


def text(description: str, pattern: str | None = None) -> Schema:
    """A short text, or one of a pattern that bounds its length."""
    bounds: Schema = {"minLength": 1, "maxLength": values.TEXT_LENGTH}
    if pattern is not None:
        bounds = {"pattern": pattern}
    return {"type": "string", "description": description} | bounds


def one_of(enumeration: str, description: str) -> Schema:
    """One of the values of a named enumeration."""
    return {"$ref": REF.format(name=enumeration), "description": description}


ACTOR = text("Who does it; default: the account.")
WHY = text("Why, in the words of the actor.")
