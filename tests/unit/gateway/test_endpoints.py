"""The table of endpoints refuses entries that contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from gateway.endpoints.endpoint import Endpoint, Response, table_of
from gateway.middleware.authorization import PUBLIC, Permission, Reach


async def _handler(_: web.Request) -> web.Response:
    return web.Response()


SOUND = Endpoint(
    "GET",
    "/api/things",
    lambda _: _handler,
    Permission("read", Reach.NONE),
    operation_id="listThings",
    tag="orders",
    summary="List things",
    description="Lists them.",
    responses={200: Response("Things")},
    problems=("malformed-parameter",),
    query={"kind": {"type": "string"}},
    required=("kind",),
)


def test_the_endpoints_of_a_table_are_under_their_method_and_path() -> None:
    assert table_of([SOUND]) == {("GET", "/api/things"): SOUND}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"path": "/api/things/{id}"}, "Reach.IN_PATH belongs to paths with {id}"),
        ({"permission": Permission("read", Reach.IN_PATH)}, "Reach.IN_PATH belongs to paths"),
        ({"path": "/api/things/{id}", "permission": PUBLIC}, "Reach.IN_PATH belongs to paths"),
        ({"problems": ("no-such-code",)}, "unknown problem codes: no-such-code"),
        ({"body": "ThingRequest"}, "unknown body schema: ThingRequest"),
        (
            {"responses": {200: Response("Things", "Thing")}},
            "unknown response schema: Thing",
        ),
        ({"required": ("colour",)}, "required parameters that are not in its query: colour"),
        ({"query": None}, "required parameters that are not in its query: kind"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=r"GET /api/things.*: ") as error:
        table_of([SOUND._replace(**change)])
    assert fault in str(error.value)


def test_a_method_and_path_with_two_entries_is_refused() -> None:
    with pytest.raises(ValueError, match="GET /api/things: it has two entries"):
        table_of([SOUND, SOUND._replace(summary="List things again")])


def test_an_endpoint_without_a_permission_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="permission"):
        Endpoint(
            "GET",
            "/",
            lambda _: _handler,
            operation_id="listThings",
            tag="x",
            summary="x",
            description="Lists them.",
            responses={},
        )  # type: ignore[call-arg]  # that is the test
