"""Price histories are bounded, thinned out with age, and sampled only while they are read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.order import Order
from events.types import Quote
from gateway.backends import price_history
from gateway.backends.price_history import COARSE, FINE, PAIRS, PriceHistory, Series
from gateway.backends.price_history import Point as At
from tests.support.http.served import TOKENS

PAIR = ("SOL", "USDC")


def quote(pool: str = "P", out: int = 150_000_000, error: str = "") -> Quote:
    return Quote("raydium", pool, 10**9, out, 0, 0, error)


async def none(_: Order) -> Sequence[Quote]:
    return ()


def test_old_points_are_thinned_out_and_the_number_of_points_is_bounded() -> None:
    series = Series("raydium", "P", "raydium-clmm")
    for second in range(20 * (FINE + COARSE * 12)):
        series.add(At(second, "1"))
    points = series.points(0)
    assert len(points) == FINE + COARSE
    assert [p.time_ms for p in points] == sorted(p.time_ms for p in points)
    assert series.points(points[-1].time_ms) == [points[-1]]


async def test_a_pair_is_sampled_when_it_is_first_read() -> None:
    asked: list[Order] = []

    async def ask(order: Order) -> Sequence[Quote]:
        asked.append(order)
        return (quote(), quote("broken", error="pool-disabled"))

    history = PriceHistory(ask, TOKENS, 0)
    series = await history.read(PAIR)
    assert [(pool.pool, [p.price for p in pool.points(0)]) for pool in series] == [("P", ["150"])]
    await history.read(PAIR)
    assert [order.amount_in for order in asked] == [10**9]


async def test_the_pair_that_was_read_longest_ago_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_history, "LOOKED_AT_S", 0.0)
    history = PriceHistory(none, {f"T{n}": TOKENS["SOL"] for n in range(PAIRS + 3)}, 0)
    for n in range(PAIRS + 2):
        await history.read((f"T{n}", f"T{n + 1}"))
    assert len(history._read_at) == PAIRS
    assert ("T0", "T1") not in history._read_at


async def test_pairs_that_are_looked_at_are_not_replaced() -> None:
    history = PriceHistory(none, {f"T{n}": TOKENS["SOL"] for n in range(PAIRS + 2)}, 0)
    for n in range(PAIRS + 1):
        await history.read((f"T{n}", f"T{n + 1}"))
    assert [*history._read_at] == [(f"T{n}", f"T{n + 1}") for n in range(PAIRS)]


async def test_a_bug_in_the_quotes_of_a_pair_is_a_gap_of_its_chart() -> None:
    async def fails(_: Order) -> Sequence[Quote]:
        raise RuntimeError("odd")

    history = PriceHistory(fails, TOKENS, 0)
    assert await history.read(("SOL", "USDC")) == []


async def test_tokens_of_little_worth_are_sampled_in_larger_amounts() -> None:
    async def ask(order: Order) -> Sequence[Quote]:
        return (Quote("raydium", "P", order.amount_in, order.amount_in // 4000, 0, 0, ""),)

    history = PriceHistory(ask, TOKENS, 0)
    (series,) = await history.read(("BONK", "USDC"))
    assert history.amount(("BONK", "USDC")) == 100_000
    assert [p.price for p in series.points(0)] == ["0.000025"]


async def test_venues_that_do_not_answer_leave_a_gap() -> None:
    async def late(_: Order) -> Sequence[Quote]:
        raise TimeoutError

    assert await PriceHistory(late, TOKENS, 0).read(PAIR) == []
