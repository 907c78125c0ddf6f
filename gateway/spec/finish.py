"""The last step of the documents' schemas: meanings, examples, and the form that generators read.

A field has its description beside its type, not in one of several types, and a reference stands
alone with its description. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.spec.examples import example_of
from gateway.spec.field_meanings import MEANINGS
from projections.views.enums import REF

Json = dict[str, Any]


def finished(
    schemas: Mapping[str, Json], enums: Mapping[str, Json], parameters: Sequence[object]
) -> dict[str, Json]:
    """The schemas with a meaning for every field and an example each, and the enumerations to which
    they or the parameters refer.
    """
    text = json.dumps([schemas, parameters])
    used = {name: enum for name, enum in enums.items() if f'"{REF.format(name=name)}"' in text}
    every = dict(schemas) | used
    described = {name: _described(name, _plain(schema)) for name, schema in every.items()}
    for name, schema in described.items():
        schema["examples"] = [example_of(name, described)]
    return {name: described[name] for name in sorted(described)}


def _plain(schema: Any) -> Any:
    """The schema without what stands beside a reference, and without titles of a type's name."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {key: schema[key] for key in ("$ref", "description") if key in schema}
    return {key: _plain(value) for key, value in schema.items()}


def _described(name: str, schema: Json) -> Json:
    if "properties" not in schema:
        return schema
    fields = {
        field: _with_meaning(name, field, part) for field, part in schema["properties"].items()
    }
    return schema | {"properties": fields}


def _with_meaning(name: str, field: str, part: Json) -> Json:
    own = part.get("description") or _within(part)
    text = MEANINGS.get(f"{name}.{field}") or (own if _is_request(name) else "")
    text = text or MEANINGS.get(field) or own
    bare = {key: value for key, value in part.items() if key != "description"}
    if "anyOf" in bare:
        bare["anyOf"] = [
            {key: value for key, value in choice.items() if key != "description"}
            for choice in bare["anyOf"]
        ]
    return bare | {"description": text} if text else bare


def _within(part: Json) -> str:
    """The description of the first of several types that has one."""
    texts = (str(choice.get("description", "")) for choice in part.get("anyOf", ()))
    return next(filter(None, texts), "")


def _is_request(name: str) -> bool:
    """Requests describe their fields where they are read."""
    return name.endswith("Request")
