"""The documents say all that there is: every route, parameter, code, event and field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from events.commands.api_keys import SCOPES
from events.order import fold
from events.streams import statuses_after
from events.types import FACTS, Fact
from gateway.endpoints.endpoint import COMMON_PROBLEMS, GUARDED
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.http.problems import Problem
from gateway.parsing.order_fields import FIELDS_BY_ORDER_TYPE
from gateway.schemas.request_schemas import body_schemas
from gateway.spec.asyncapi import CLOSE_CODES, asyncapi
from gateway.spec.openapi import openapi
from projections.feed.frames import text_frame
from projections.views.orders import event_frame, order_view
from projections.views.payloads import PAYLOADS
from projections.views.schemas import Order
from tests.support.http.documented import closed, faults_of, texts
from tests.unit.projections.test_views import ADDS as SHOWN
from tests.unit.projections.test_views import event

ROOT = Path(__file__).parents[3]
DOCUMENTS = {"openapi": openapi(), "asyncapi": asyncapi()}


def refs(value: Any) -> list[str]:
    if isinstance(value, list):
        return [ref for item in value for ref in refs(item)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        mapped = value.get("mapping", {}).values() if "propertyName" in value else []
        return [*own, *mapped, *(ref for item in value.values() for ref in refs(item))]
    return []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_resolves_and_every_schema_is_valid(name: str) -> None:
    document = DOCUMENTS[name]
    results = refs(document)
    assert results
    for ref in results:
        target: Any = document
        for part in ref.removeprefix("#/").split("/"):
            target = target[part]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_code_is_of_an_operation_or_of_all() -> None:
    named = {code for endpoint in ENDPOINTS.values() for code in endpoint.problems}
    assert named | set(COMMON_PROBLEMS) | set(GUARDED) == set(CODES)


def test_every_operation_needs_a_scope_that_keys_can_have_or_is_open_on_purpose() -> None:
    open_to_all = {endpoint.path for endpoint in ENDPOINTS.values() if endpoint.permission.public}
    assert open_to_all == {
        "/", "/static/{name}", "/docs", "/openapi.json", "/asyncapi.json", "/healthz", "/readyz",
        "/api/time",
    }  # fmt: skip
    scopes = {endpoint.permission.scope for endpoint in ENDPOINTS.values()}
    assert scopes - {""} == set(SCOPES)


def test_the_codes_of_the_document_are_all_that_there_are() -> None:
    assert set(openapi()["x-problem-codes"]) == set(CODES)


def test_every_field_of_a_problem_is_documented() -> None:
    schema = {"$ref": "#/components/schemas/Problem"}
    assert not faults_of("openapi", schema, Problem("log-full").document())
    assert faults_of("openapi", schema, Problem("log-full", why="so").document())


def test_every_event_has_a_shape_and_a_message_on_both_channels() -> None:
    assert set(PAYLOADS) == set(FACTS.values())
    for channel in asyncapi()["channels"].values():
        assert set(FACTS) < set(channel["messages"])


@pytest.mark.parametrize(("fact", "_"), SHOWN, ids=lambda value: type(value).__name__)
def test_the_frame_of_every_event_is_as_documented(fact: Fact, _: object) -> None:
    name = type(fact).__name__
    schema = {"$ref": f"#/components/schemas/{name}"}
    frame = event_frame(event(fact), 7, "e1.p0.7", b"\x01\x02")
    frame["status"] = statuses_after(type(fact))[0]
    assert not faults_of("asyncapi", schema, frame)
    for field in frame:
        assert field in closed(asyncapi()["components"]["schemas"][name])["properties"]
    assert faults_of("asyncapi", schema, frame | {"raw": "00"})
    assert faults_of("asyncapi", schema, {k: v for k, v in frame.items() if k != "position"})


def test_an_order_has_exactly_the_fields_that_are_documented() -> None:
    order = fold([event(SHOWN[0][0])])
    assert order is not None
    view = order_view(order)
    assert set(view) == set(Order.__struct_encode_fields__)
    schema = {"$ref": "#/components/schemas/Order"}
    assert not faults_of("openapi", schema, view)
    assert faults_of("openapi", schema, view | {"amount": 1.5})


def test_a_body_has_exactly_the_fields_that_requests_are_checked_for() -> None:
    for kind, taken in FIELDS_BY_ORDER_TYPE.items():
        fields = body_schemas()[f"{kind.title()}OrderRequest"]["properties"]
        assert set(fields) == taken


def test_close_codes_are_those_that_the_sockets_have() -> None:
    text = (ROOT / "gateway/streaming/websocket.py").read_text() + (
        ROOT / "projections/feed/subscription.py"
    ).read_text()
    used = {int(code) for code in re.findall(r"\b(10[01]\d|44\d\d)\b", text)}
    assert used - {1000} <= set(CLOSE_CODES)


def test_frames_are_taken_apart_as_they_were_put_together() -> None:
    results = ["{}", "x" * 200, "y" * 70_000]
    assert texts(b"".join(text_frame(item.encode()) for item in results)) == results
