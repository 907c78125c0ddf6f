"""The limit of concurrent connections is exact."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.http.problems import Problem
from gateway.middleware.auth import PRINCIPAL, Principal
from gateway.streaming.connections import ConnectionLimiter


class Request(dict[Any, Any]):
    """All that is asked of a request here."""

    remote = "127.0.0.1"


def request_of(key_id: str) -> Any:
    return Request({PRINCIPAL: Principal(key_id, "main", None, frozenset())})


@pytest.mark.parametrize(("most", "most_each"), [(2, 0), (0, 2), (2, 2)])
def test_a_connection_beyond_the_limit_is_refused_until_one_closes(
    most: int, most_each: int
) -> None:
    presence, request = ConnectionLimiter(most, most_each), request_of("k")
    first: Any = object()
    second: Any = object()
    with presence.held(request, first):
        presence.check(request)
        with presence.held(request, second), pytest.raises(Problem):
            presence.check(request)
        presence.check(request)


def test_each_key_has_its_own_limit_and_all_share_the_total() -> None:
    presence, request, other = ConnectionLimiter(2, 1), request_of("k"), request_of("l")
    first: Any = object()
    second: Any = object()
    with presence.held(request, first):
        with pytest.raises(Problem):
            presence.check(request)
        presence.check(other)
        with presence.held(other, second), pytest.raises(Problem):
            presence.check(request_of("m"))
