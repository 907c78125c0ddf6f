"""Filters of lists and of cancels: what they mean together, and what they refuse."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from multidict import MultiDict

from events.status import OPEN, TERMINAL
from gateway.http.problems import Problem
from gateway.parsing.parameters import Query, cancel_filters, list_filters
from tests.support.http.served import TOKENS


def query(text: str) -> Query:
    return MultiDict(parse_qsl(text, keep_blank_values=True))


def statuses(text: str) -> set[str] | None:
    left = list_filters(query(text), TOKENS, None)[0].statuses
    return None if left is None else set(left)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("status=failed", {"failed"}),
        ("status=failed,expired", {"failed", "expired"}),
        ("status=failed&status=expired", {"failed", "expired"}),
        ("open=true", set(OPEN)),
        ("open=false", set(TERMINAL)),
        ("open=true&status=watching,failed", {"watching"}),
        ("parked=true", set(OPEN)),
        ("parked=false", None),
        ("inDoubt=true", {"submitted"}),
        ("inDoubt=true&open=true", {"submitted"}),
        ("inDoubt=false&status=submitted", {"submitted"}),
    ],
)
def test_the_statuses_are_those_that_every_filter_leaves(
    text: str, expected: set[str] | None
) -> None:
    assert statuses(text) == expected


def test_every_filter_of_a_list_is_read() -> None:
    text = "type=limit,sniper&parked=false&inDoubt=true&token=SOL&clientOrderId=a&from=5&to=9"
    filters, limit, cursor = list_filters(query(text), TOKENS, "main")
    assert filters.types == ("limit", "sniper")
    assert (filters.parked, filters.in_doubt) == (False, True)
    assert (filters.token, filters.client_order_id, filters.account) == ("SOL", "a", "main")
    assert (filters.from_ms, filters.to_ms, limit, cursor) == (5, 9, 50, None)
    assert not filters.oldest_first
    assert list_filters(query("sort=oldest"), TOKENS, None)[0].oldest_first
    assert not list_filters(query("sort=newest"), TOKENS, None)[0].oldest_first


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("status=", "status"),
        ("status=,", "status"),
        ("status=odd", "status"),
        ("status=failed,odd", "status"),
        ("status=halted", "status"),
        ("type=", "type"),
        ("type=stop", "type"),
        ("open=yes", "open"),
        ("open=", "open"),
        ("open=true&open=false", "open"),
        ("parked=1", "parked"),
        ("inDoubt=True", "inDoubt"),
        ("sort=", "sort"),
        ("sort=price", "sort"),
        ("sort=newest&sort=oldest", "sort"),
        ("status=confirmed&open=true", "status"),
        ("open=false&parked=true", "open"),
        ("open=false&inDoubt=true", "open"),
        ("status=watching&inDoubt=true", "status"),
        ("colour=red", "colour"),
    ],
)
def test_nonsense_is_refused_and_named(text: str, parameter: str) -> None:
    with pytest.raises(Problem) as refused:
        list_filters(query(text), TOKENS, None)
    assert refused.value.code == "malformed-parameter"
    assert refused.value.fields == {"parameter": parameter}


@pytest.mark.parametrize(
    "text", ["status=watching", "status=watching,pending", "type=limit", "parked=true",
             "inDoubt=false", "token=SOL", "clientOrderId=a", "all=true"],
)  # fmt: skip
def test_any_filter_says_what_to_cancel(text: str) -> None:
    filters, _ = cancel_filters(query(text), TOKENS, "main")
    assert filters.account == "main"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "filter-required"),
        ("cursor=5", "filter-required"),
        ("all=false", "malformed-parameter"),
        ("status=", "malformed-parameter"),
        ("status=confirmed", "malformed-parameter"),
        ("open=true", "malformed-parameter"),
        ("status=watching&inDoubt=true", "malformed-parameter"),
    ],
)
def test_a_cancel_of_nothing_or_of_nonsense_is_refused(text: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        cancel_filters(query(text), TOKENS, None)
    assert refused.value.code == code
