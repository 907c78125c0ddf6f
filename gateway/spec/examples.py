"""Examples of the documents' schemas, made of `example_values`. Pure.

`tests/unit/gateway/test_document_quality.py` holds each example against its schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.spec.example_values import LEFT_OUT, NULL, VALUES

Json = dict[str, Any]


def example_of(name: str, schemas: Mapping[str, Json]) -> Any:
    """An example of the schema with this name."""
    return _example(schemas[name], schemas, name, "")


def _example(schema: Json, schemas: Mapping[str, Json], owner: str, field: str) -> Any:
    if "$ref" in schema:
        return _of_reference(schema["$ref"].rpartition("/")[2], schemas, owner, field)
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _one_of(choices, schemas, owner, field)
    given = _given(owner, field)
    if given is not None and _fits(given, schema.get("type", "string")):
        return given
    return _derived(schema, schemas, owner, field)


def _of_reference(name: str, schemas: Mapping[str, Json], owner: str, field: str) -> Any:
    given = _given(owner, field)
    if given in schemas[name].get("enum", ()):
        return given
    return _example(schemas[name], schemas, name, "")


def _derived(schema: Json, schemas: Mapping[str, Json], owner: str, field: str) -> Any:
    """A value of the schema's type, where none is given."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, owner)
        case "array":
            return [_example(schema["items"], schemas, owner, "")]
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 1)
        case _:
            assert schema.get("pattern") is None, f"{owner}.{field} needs an example"
            return f"a {field}"


def _one_of(choices: list[Json], schemas: Mapping[str, Json], owner: str, field: str) -> Any:
    null = {"type": "null"}
    if _given(owner, field) is NULL and null in choices:
        return None
    first = next(choice for choice in choices if choice != null)
    return _example(first, schemas, owner, field)


def _object(schema: Json, schemas: Mapping[str, Json], owner: str) -> Json:
    if "properties" not in schema:
        if "additionalProperties" not in schema:
            return {}
        return {"router": _example(schema["additionalProperties"], schemas, owner, "")}
    left_out = LEFT_OUT.get(owner, ())
    return {
        name: _example(part, schemas, owner, name)
        for name, part in schema["properties"].items()
        if name not in left_out
    }


def _fits(value: Any, kind: str) -> bool:
    """Whether the value is of the JSON type; the same name may be a list elsewhere."""
    if value is NULL:
        return False
    types: dict[str, type | tuple[type, ...]] = {
        "string": str, "integer": int, "number": (int, float), "array": list, "object": dict,
        "boolean": bool,
    }  # fmt: skip
    return isinstance(value, types[kind])


def _given(owner: str, field: str) -> Any:
    return VALUES.get(f"{owner}.{field}", VALUES.get(field)) if field else VALUES.get(owner)
