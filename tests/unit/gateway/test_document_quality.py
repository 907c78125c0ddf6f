"""The documents are such that people and generators of clients can use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from events.reasons import REASONS
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.spec.asyncapi import asyncapi
from gateway.spec.field_meanings import MEANINGS
from gateway.spec.openapi import PROBLEM, PROBLEM_CODES, openapi
from projections.views.enums import ENUMS, FOLLOW_CODES, LOST_CODES
from tests.support.http.documented import closed

Json = dict[str, Any]

DOCUMENTS = {"openapi": openapi(), "asyncapi": asyncapi()}
UNIT = re.compile(
    r"whole tokens|lamports|basis points|milliseconds|microseconds|seconds|[Tt]he number |number"
    r"|position in the log|HTTP status|height|The version number"
)
"""What the description of an amount or a number says about its unit."""


def schemas_of(name: str) -> dict[str, Json]:
    schemas: dict[str, Json] = DOCUMENTS[name]["components"]["schemas"]
    return schemas


def fields(name: str) -> Iterator[tuple[str, Json]]:
    """Every field of every schema, and every parameter."""
    for owner, schema in schemas_of(name).items():
        for field, part in schema.get("properties", {}).items():
            yield f"{owner}.{field}", part
    for operation in operations(name):
        for parameter in operation["parameters"]:
            place = f"{operation['operationId']}?{parameter['name']}"
            yield place, parameter["schema"] | {"description": parameter["description"]}


def operations(name: str) -> Iterator[Json]:
    for row in DOCUMENTS[name].get("paths", {}).values():
        yield from row.values()


def is_quantity(part: Json) -> bool:
    """Whether it is a number, an amount, or a time."""
    alternatives = [part, *part.get("anyOf", ())]
    return any(
        choice.get("type") in ("integer", "number")
        or choice.get("format") == "date-time"
        or "\\d+(" in choice.get("pattern", "")
        or (choice.get("type") == "array" and is_quantity(choice["items"]))
        for choice in alternatives
    ) or any(is_quantity(choice) for choice in part.get("anyOf", ()) if "anyOf" in choice)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_field_has_a_meaning_and_every_quantity_its_unit(name: str) -> None:
    every = dict(fields(name))
    assert len(every) > 100
    assert [place for place, part in every.items() if not part.get("description")] == []
    quantities = {place for place, part in every.items() if is_quantity(part)}
    assert len(quantities) > 50
    without = {p: every[p]["description"] for p in quantities if not UNIT.search(str(every[p]))}
    assert without == {}


def test_a_quantity_without_its_unit_would_be_noticed() -> None:
    for part in (
        {"type": "integer"},
        {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?$"}, {"type": "null"}]},
        {"anyOf": [{"anyOf": [{"type": "number"}]}, {"type": "null"}]},
    ):
        assert is_quantity(part)
    assert not UNIT.search("The amount.")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_meaning_is_of_a_field(name: str) -> None:
    known = {place for document in DOCUMENTS for place, _ in fields(document)}
    known |= {place.partition(".")[2] for place in known}
    assert [key for key in MEANINGS if key not in known] == []


def _inline(schema: Any, path: str = "") -> Iterator[str]:
    """Where an enumeration stands that is none of the named ones, or holds null."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _inline(item, f"{path}/{index}")
    elif isinstance(schema, dict):
        if "enum" in schema and path.count("/") > 1:
            yield path
        if None in schema.get("enum", ()):
            yield f"null in {path}"
        for key, item in schema.items():
            if key not in ("examples", "example"):
                yield from _inline(item, f"{path}/{key}")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_enumeration_is_named_and_none_holds_null(name: str) -> None:
    assert list(_inline(schemas_of(name))) == []
    for operation in operations(name):
        assert [p for p in operation["parameters"] if "enum" in p["schema"]] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_reference_stands_alone_with_its_description(name: str) -> None:
    def beside(schema: Any) -> Iterator[set[str]]:
        if isinstance(schema, list):
            for item in schema:
                yield from beside(item)
        elif isinstance(schema, dict):
            if isinstance(schema.get("$ref"), str):
                yield schema.keys() - {"$ref", "description"}
            for item in schema.values():
                yield from beside(item)

    assert [keys for keys in beside(DOCUMENTS[name]) if keys] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_has_an_example_that_it_allows(name: str) -> None:
    components = {"schemas": closed(schemas_of(name))}
    for schema_name, schema in schemas_of(name).items():
        assert schema["examples"], schema_name
        reference = {"$ref": f"#/components/schemas/{schema_name}", "components": components}
        for example in schema["examples"]:
            faults = [e.message for e in Draft202012Validator(reference).iter_errors(example)]
            assert faults == [], (schema_name, example)


def test_every_operation_is_described_and_has_examples() -> None:
    ids = [operation["operationId"] for operation in operations("openapi")]
    assert len(set(ids)) == len(ids) == len(ENDPOINTS)
    declared = {tag["name"] for tag in openapi()["tags"]}
    for operation in operations("openapi"):
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"]), operation
        assert len(operation["description"]) > 20
        assert set(operation["tags"]) <= declared
        assert all("example" in parameter for parameter in operation["parameters"])
        contents = [r.get("content", {}) for r in operation["responses"].values()]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        for content in contents:
            for media, body in content.items():
                if media.endswith("json") and "$ref" in body["schema"]:
                    assert "example" in body, operation["operationId"]


def test_every_answer_has_one_media_type() -> None:
    for operation in operations("openapi"):
        for status, response in operation["responses"].items():
            media = list(response.get("content", {}))
            assert len(media) <= 1, (operation["operationId"], status, media)
            if media == [PROBLEM]:
                assert set(response[PROBLEM_CODES]) <= set(CODES)


def test_the_types_of_orders_are_told_apart_by_their_type() -> None:
    request = schemas_of("openapi")["TypedOrderRequest"]
    mapping = request["discriminator"]["mapping"]
    assert request["discriminator"]["propertyName"] == "type"
    assert sorted(mapping.values()) == sorted(choice["$ref"] for choice in request["oneOf"])
    for kind, reference in mapping.items():
        own = schemas_of("openapi")[reference.rpartition("/")[2]]["properties"]["type"]
        assert own["const"] == kind


def test_the_simplest_order_needs_no_type() -> None:
    choices = schemas_of("openapi")["OrderRequest"]["anyOf"]
    untyped = schemas_of("openapi")[choices[-1]["$ref"].rpartition("/")[2]]
    assert untyped["required"] == ["tokenIn", "tokenOut", "amount"]


def test_no_field_of_a_request_has_a_default_which_would_make_it_required() -> None:
    for name, schema in schemas_of("openapi").items():
        if name.endswith("Request"):
            assert "'default'" not in str(schema.get("properties", {})), name


def test_the_codes_that_programs_switch_on_are_enumerated() -> None:
    schemas = schemas_of("openapi")
    assert schemas["FailureReason"]["enum"] == list(REASONS)
    assert schemas["ErrorCode"]["enum"] == list(CODES)
    reasons = schemas["Order"]["properties"]["reason"]["anyOf"]
    assert {"$ref": "#/components/schemas/FailureReason"} in reasons
    assert set(ENUMS["FollowErrorCode"].meanings) == set(FOLLOW_CODES)
    assert set(schemas_of("asyncapi")["LostCode"]["enum"]) == set(LOST_CODES)
