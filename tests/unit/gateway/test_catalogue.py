"""The catalogues in docs/ are those of the code: `engine docs --write` regenerates them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import cli
from engine.commands.docs import FILES
from engine.documents.postman import folders_of
from events.types import FACTS
from gateway.endpoints.endpoint import Endpoint, Response
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.middleware.authorization import Permission, Reach
from gateway.spec.openapi import openapi

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", FILES)
def test_a_committed_document_is_the_one_of_the_code(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run `engine docs --write`"


def test_docs_write_creates_exactly_the_generated_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["docs", "--write"]) == 0
    as_posixes = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert as_posixes == set(FILES)


def test_every_code_and_every_event_is_in_its_catalogue() -> None:
    errors, events = FILES["docs/reference/errors.md"](), FILES["docs/reference/events.md"]()
    for code, (status, title) in CODES.items():
        assert f"| `{code}` | {status} | {title} |" in errors
    for name in FACTS:
        assert f"\n## {name}\n" in events


def test_a_document_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["docs", "openapi"]) == 0
    assert json.loads(capsys.readouterr().out) == openapi()


def test_the_collection_has_every_operation_and_expects_what_is_documented() -> None:
    steps = [step for folder in folders_of(ENDPOINTS.values()) for step in folder.steps]
    sockets = {key for key, endpoint in ENDPOINTS.items() if endpoint.channel}
    assert {step.operation for step in steps} == set(ENDPOINTS) - sockets
    for step in steps:
        endpoint = ENDPOINTS[step.operation]
        documented = endpoint.responses.keys() | endpoint.problems_by_status().keys()
        assert set(step.statuses) <= documented
        assert set(step.query) <= set(endpoint.query or ())


NEW = Endpoint(
    "GET",
    "/api/things",
    lambda handlers: handlers.console.tokens,
    Permission("read", Reach.NONE),
    operation_id="listThings",
    tag="orders",
    summary="List things",
    description="Lists them.",
    responses={200: Response("Things"), 204: Response("None", media="")},
)


def test_an_endpoint_that_the_flow_leaves_out_gets_a_step() -> None:
    folder = folders_of([*ENDPOINTS.values(), NEW])[-1]
    step = folder.steps[-1]
    assert (step.name, step.operation, step.statuses) == ("List things", NEW.key, (200, 204))
    assert step.description == "Things. None."


@pytest.mark.parametrize("change", [{"body": "HaltRequest"}, {"required": ("kind",)}])
def test_a_request_that_cannot_be_derived_needs_a_step(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="GET /api/things needs a step in `postman_flow`"):
        folders_of([*ENDPOINTS.values(), NEW._replace(**change)])
