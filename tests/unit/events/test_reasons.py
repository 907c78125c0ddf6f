"""Every reason that the engine writes into an event is one of the catalogue."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.reasons import REASONS, failure
from events.types import (
    AttemptFailed,
    Fact,
    OrderExpired,
    OrderFailed,
    OrderRearmed,
    TransactionInDoubt,
)
from projections.views.enums import enum_schemas
from projections.views.json_schema import event_schemas
from stages.runtime.append import STOPPED

ROOT = Path(__file__).parents[3]
CODE_OF: dict[type[Fact], str] = {
    OrderFailed: "reason",
    OrderExpired: "reason",
    OrderRearmed: "reason",
    TransactionInDoubt: "reason",
    AttemptFailed: "error",
}
"""The field that has the code; the type checker covers those that are not literals."""
FIELDS = {kind.__name__: (kind.__struct_fields__.index(f), f) for kind, f in CODE_OF.items()}


def literals() -> Iterator[str]:
    """Each code that is written in a call that makes such an event."""
    for package in ("events", "stages", "engine"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    at, field = FIELDS.get(node.func.id, (-1, ""))
                    given = [word.value for word in node.keywords if word.arg == field]
                    given += node.args[at : at + 1] if at >= 0 else []
                    yield from (str(item.value) for item in given if isinstance(item, ast.Constant))


def test_every_code_in_an_event_is_in_the_catalogue() -> None:
    results = set(literals())
    assert {"expired", "expires-at-passed", "transaction-expired", "discarded"} <= results
    assert results <= REASONS.keys()
    assert {stopped.value for stopped in STOPPED} <= REASONS.keys()


@pytest.mark.parametrize("kind", CODE_OF, ids=lambda kind: kind.__name__)
def test_the_schema_of_an_event_names_the_catalogue(kind: type[Fact]) -> None:
    schemas = event_schemas()
    code = schemas[kind.__name__]["properties"][CODE_OF[kind]]
    assert code["$ref"] == "#/components/schemas/FailureReason"
    assert enum_schemas()["FailureReason"]["enum"] == list(REASONS)


def test_a_code_is_one_token_and_its_row_is_made_of_sentences() -> None:
    for code, reason in REASONS.items():
        assert code == code.lower()
        assert " " not in code
        assert reason.sentence.endswith(".")
        assert reason.action.endswith(".")


def test_free_text_stored_as_a_code_by_an_earlier_build_is_shown_as_detail() -> None:
    assert failure("asked by the client", "") == ("discarded", "asked by the client")
    assert failure("no-route", "a, b") == ("no-route", "a, b")
