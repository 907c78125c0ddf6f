"""The book does what a plain list would, and does not look at what no price reached."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.triggers.price_pause import Pause
from stages.triggers.trigger_book import PoolTriggerBook, PoolTriggerTerms, TriggerBook

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
    """A trigger book as a plain list: the reference."""

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
def test_a_trigger_book_triggers_the_same_orders_as_a_plain_list(
    acts: list[tuple[object, ...]],
) -> None:
    book, plain = TriggerBook(), Plain()
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


def test_a_price_that_meets_a_target_exactly_triggers_the_order() -> None:
    book = TriggerBook()
    book.add("at", 100, 0)
    book.add("above", 101, 0)
    assert book.tick(1, 99) == []
    assert book.tick(2, 100) == ["at"]
    assert set(book) == {"above"}


def test_orders_removed_from_a_trigger_book_do_not_use_its_memory() -> None:
    book = TriggerBook()
    for n in range(20_000):
        book.add("one", 1000 + n, n % 2)
        book.add(f"other-{n}", 10**6 + n, 0)
        book.discard(f"other-{n}")
    assert len(book) == 1
    assert len(book._by_target) + len(book._later) < 2000


class Target(int):
    """One that counts how often it is compared."""

    compared = 0

    def _count(self) -> int:
        Target.compared += 1
        return int(self)

    def __lt__(self, other: int) -> bool:
        return self._count() < other

    def __le__(self, other: int) -> bool:
        return self._count() <= other

    def __gt__(self, other: int) -> bool:
        return self._count() > other

    def __ge__(self, other: int) -> bool:
        return self._count() >= other

    def __eq__(self, other: object) -> bool:
        return self._count() == other

    __hash__ = int.__hash__


def compared(act: Callable[[], object]) -> int:
    Target.compared = 0
    act()
    return Target.compared


def test_a_tick_that_triggers_none_of_many_costs_no_more_than_of_few() -> None:
    book, orders = TriggerBook(), 20_000
    for n in range(orders):
        book.add(f"{n:036}", Target(10**6 + n * 7919 % 20_011), 0)
    book.skip(0)
    assert compared(lambda: book.tick(1, 10**6 - 1)) == 1
    assert len(book) == orders
    results: list[str] = []
    log2 = orders.bit_length()
    assert compared(lambda: results.extend(book.tick(2, 10**6 + 99))) <= 101 * 4 * log2
    assert 0 < len(results) <= 100


def test_a_sniper_waits_for_its_slot_its_liquidity_and_its_price() -> None:
    snipers = PoolTriggerBook()
    snipers.add("any", PoolTriggerTerms(5, 0, 0))
    snipers.add("deep", PoolTriggerTerms(5, 100, 0))
    snipers.add("cheap", PoolTriggerTerms(5, 0, 50))
    assert snipers.event(4, 99, 999) == []
    assert snipers.event(5, 49, 99) == ["any"]
    assert snipers.event(6, 49, 100) == ["deep"]
    assert snipers.earliest() == 5
    snipers.discard("cheap")
    assert snipers.event(7, 99, 999) == []


def paused(price: int | None = 12, until: int = 50) -> TriggerBook:
    """An order with target 10 whose attempt failed at slot 9 and a price of 12."""
    book = TriggerBook()
    book.tick(9, 12)
    book.add("one", 10, 10, Pause(until, price))
    return book


def test_a_price_that_stays_is_passed_over_until_the_pause_ends() -> None:
    book = paused()
    for slot in range(10, 50):
        assert book.tick(slot, 12 - slot % 2) == []
    assert book.tick(50, 11) == ["one"]


def test_a_paused_order_triggers_when_the_price_leaves_and_returns() -> None:
    book = paused()
    assert book.tick(10, 12) == book.tick(11, 9) == []
    assert book.tick(12, 10) == ["one"]


def test_a_price_below_target_at_the_failed_attempt_triggers_when_it_returns() -> None:
    assert paused(price=9).tick(10, 10) == ["one"]


def test_a_price_that_rises_above_the_one_that_failed_triggers() -> None:
    book = paused()
    assert book.tick(10, 11) == book.tick(11, 12) == []
    assert book.tick(12, 13) == ["one"]


def test_a_market_that_changed_and_a_failure_at_an_unknown_price_end_the_pause() -> None:
    book = paused()
    book.wake(9)  # before it counts
    assert book.tick(10, 12) == []
    book.wake(11)
    assert book.tick(11, 12) == ["one"]
    assert paused(price=None).tick(10, 12) == ["one"]


def test_ticks_before_the_first_slot_define_the_price_of_the_failed_attempt() -> None:
    book = TriggerBook()
    book.add("one", 10, 10, Pause(50, 12))
    assert book.tick(8, 15) == book.tick(9, 14) == book.tick(10, 14) == book.tick(11, 13) == []
    assert book.tick(12, 15) == ["one"]


def test_slots_without_a_price_and_a_takeover_do_not_change_a_pause() -> None:
    book = paused()
    book.skip(20)
    assert book.earliest() == 10
    book.rewind(9)
    assert book.tick(10, 12) == []
    book.discard("one")
    assert book.tick(50, 12) == []


def test_amended_terms_end_a_pause_and_unchanged_terms_do_not_renew_it() -> None:
    book = paused()
    assert book.tick(10, 9) == []  # left
    assert not book.add("one", 10, 10, Pause(50, 12))
    assert book.tick(11, 10) == ["one"]
    book = paused()
    assert book.add("one", 10, 10)
    assert book.tick(10, 12) == ["one"]


def test_a_pause_ended_in_the_book_of_late_orders_ends_in_the_main_book() -> None:
    book, late = paused(), paused()
    book.skip(11)
    assert late.tick(10, 12) == late.tick(11, 9) == []
    book.follow(late)
    assert book.tick(12, 10) == ["one"]


def test_the_price_that_triggered_counts_where_the_slot_of_the_quote_ended_higher() -> None:
    book = TriggerBook()
    book.tick(9, 15)
    book.add("one", 10, 10, Pause(50, 15, trigger_price=12))
    assert book.tick(10, 12) == []
    assert book.tick(11, 13) == ["one"]
    book.add("two", 10, 12, Pause(50, 11, trigger_price=15))  # it fell before the quote
    assert book.tick(12, 11) == []
    assert book.tick(13, 14) == ["two"]
