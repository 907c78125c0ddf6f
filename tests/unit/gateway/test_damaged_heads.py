"""Which events a look at the heads of open orders reads."""

from __future__ import annotations

import msgspec
import pytest

from events.log import OrderHead
from gateway.backends.damaged_heads import worth_reading


def head(*positions: int, older: int = 0) -> OrderHead:
    return OrderHead(len(positions) + older, bytes(32), 1, positions, msgspec.msgpack.encode(1))


def test_suspects_come_first_then_the_newest_of_each_then_the_others() -> None:
    heads = {"a": head(1, 4), "b": head(2, 5), "c": head(3, 6), "gone": None, "cut": head()}
    assert worth_reading(heads, {"b"}, 1) == [2, 5, 4, 6, 1, 3]


def test_what_the_log_does_not_hold_any_more_is_not_asked_for() -> None:
    heads = {"a": head(1, 4), "b": head(5, 6, older=3), "c": head(7, 8), "d": head(2)}
    assert worth_reading(heads, {"a", "b"}, 3) == [4, 6, 8, 7]


def test_long_orders_that_are_not_suspected_do_not_make_a_look_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.backends.damaged_heads.EVENTS_MAX", 10)
    heads = {str(n): head(*range(128 * n + 1, 128 * n + 129)) for n in range(100)}
    positions = worth_reading(heads, set(), 1)
    assert {128 * n + 128 for n in range(100)} <= set(positions)
    assert len(positions) == 110
