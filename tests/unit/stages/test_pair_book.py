"""Taking a pair over: from where on its ticks are looked at again."""

from __future__ import annotations

import pytest

from events.order import Order
from events.types import Status
from stages.triggers.pair_book import PairBook
from stages.venues import Pair

PAIR = Pair("SOL", "USDC", 9, 6)


def limit(order_id: str) -> Order:
    return Order(
        order_id, status=Status.WATCHING, type="limit", token_in="SOL", token_out="USDC",
        decimals_in=9, decimals_out=6, amount_in=10**9, target_price="150",
    )  # fmt: skip


def book(**firsts: int) -> PairBook:
    """Of limit orders that count from these slots on."""
    pair_book = PairBook(PAIR)
    for order_id, first in firsts.items():
        pair_book.add(limit(order_id), first)
    return pair_book


@pytest.mark.parametrize("late", [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]])
def test_a_pair_book_begins_before_the_earliest_late_order(late: list[str]) -> None:
    pair_book = book(a=13, b=30, c=31)
    pair_book.begin(followed=40, late=late, now=50, floor=0)
    assert pair_book.done == pair_book.seen == 12


def test_a_pair_book_without_late_orders_continues_at_the_slot_of_the_last_holder() -> None:
    pair_book = book(a=13, b=30)
    pair_book.begin(followed=40, late=[], now=50, floor=0)
    assert pair_book.done == 40
    pair_book.begin(followed=40, late=["gone"], now=50, floor=0)
    assert pair_book.done == 40


def test_a_pair_book_without_a_last_holder_or_late_orders_checks_every_tick() -> None:
    for followed, late in ((None, []), (40, None)):
        pair_book = book(a=13, b=30)
        pair_book.begin(followed=followed, late=late, now=50, floor=0)
        assert pair_book.done == 12


def test_slots_before_the_end_of_a_halt_and_future_slots_are_not_checked() -> None:
    pair_book = book(a=13)
    pair_book.begin(followed=None, late=[], now=50, floor=20)
    assert pair_book.done == 20
    pair_book.begin(followed=60, late=[], now=50, floor=0)
    assert pair_book.done == 50


def test_an_empty_pair_book_begins_at_the_current_slot() -> None:
    pair_book = book()
    pair_book.begin(followed=None, late=[], now=50, floor=0)
    assert pair_book.done == 50
