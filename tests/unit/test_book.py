"""The book does what a plain list would, and does not look at what no price reached."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.book import Book, Snipers, Terms

IDS = [f"order-{n}" for n in range(8)]
PRICES = st.integers(1, 20)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(IDS), PRICES, st.integers(0, 40)),
        st.tuples(st.just("discard"), st.sampled_from(IDS)),
        st.tuples(st.just("tick"), st.integers(0, 3), PRICES),
        st.tuples(st.just("skip"), st.integers(0, 3)),
        st.tuples(st.just("rewind"), st.integers(0, 40)),
    ),
    max_size=60,
)


class Plain:
    """What a book is, said as simply as possible."""

    def __init__(self) -> None:
        self.orders: dict[str, tuple[int, int]] = {}

    def tick(self, slot: int, price: int) -> list[str]:
        due = [i for i, (target, first) in self.orders.items() if target <= price and first <= slot]
        due.sort(key=lambda order_id: (self.orders[order_id][0], order_id))
        for order_id in due:
            del self.orders[order_id]
        return due


@settings(max_examples=400)
@given(ACTS)
def test_a_book_triggers_what_a_plain_list_would(acts: list[tuple[object, ...]]) -> None:
    book, plain = Book(), Plain()
    for act in acts:
        match act:
            case ("add", str(order_id), int(target), int(slot)):
                book.add(order_id, target, slot)
                plain.orders[order_id] = (target, slot)
            case ("discard", str(order_id)):
                book.discard(order_id)
                plain.orders.pop(order_id, None)
            case ("tick", int(later), int(price)):
                slot = max(0, book.slot) + later
                assert book.tick(slot, price) == plain.tick(slot, price)
            case ("skip", int(later)):
                book.skip(book.slot + later)
            case ("rewind", int(slot)):
                book.rewind(slot)
        assert set(book) == set(plain.orders)
        assert len(book) == len(plain.orders)
        assert all(book.first_slot(i) == slot for i, (_, slot) in plain.orders.items())
        waiting = [slot for _, slot in plain.orders.values() if slot > book.slot]
        assert not waiting or (book.earliest() or 0) <= min(waiting)


def test_orders_that_left_do_not_fill_the_book() -> None:
    book = Book()
    for n in range(20_000):
        book.add("one", 1000 + n, n % 2)
        book.add(f"other-{n}", 10**6 + n, 0)
        book.discard(f"other-{n}")
    assert len(book) == 1
    assert len(book._by_target) + len(book._later) < 2000


def fastest(act: Callable[[], object], times: int = 20) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return min(took)


def test_a_tick_that_triggers_none_of_many_costs_no_more_than_of_few() -> None:
    book = Book()
    for n in range(100_000):
        book.add(f"{n:036}", 10**6 + n * 7919 % 100_003, 0)
    book.skip(0)
    slots = iter(range(1, 1000))
    assert fastest(lambda: book.tick(next(slots), 10**6 - 1)) < 0.001
    assert len(book) == 100_000
    assert len(book.tick(1000, 10**6 + 99)) <= 100


def test_a_sniper_waits_for_its_slot_its_liquidity_and_its_price() -> None:
    snipers = Snipers()
    snipers.add("any", Terms(5, 0, 0))
    snipers.add("deep", Terms(5, 100, 0))
    snipers.add("cheap", Terms(5, 0, 50))
    assert snipers.event(4, 99, 999) == []
    assert snipers.event(5, 49, 99) == ["any"]
    assert snipers.event(6, 49, 100) == ["deep"]
    assert snipers.earliest() == 5
    snipers.discard("cheap")
    assert snipers.event(7, 99, 999) == []
