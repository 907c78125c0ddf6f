"""The books of all pairs.

Rule of this file: no log. A book is created with the first order of its pair, and kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from events.order import Order
from stages.triggers.pair_book import PairBook
from stages.triggers.watcher import first_slot
from stages.venues import Pair
from stages.venues.venue_group import VenueGroup


class PairBooks:
    """The book of each pair, by the pair's key."""

    def __init__(self, market: VenueGroup) -> None:
        self._market = market
        self._books: dict[str, PairBook] = {}

    def __len__(self) -> int:
        return len(self._books)

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def __contains__(self, key: object) -> bool:
        return key in self._books

    def __getitem__(self, key: str) -> PairBook:
        return self._books[key]

    def items(self) -> Iterator[tuple[str, PairBook]]:
        """The keys and their books."""
        return iter(self._books.items())

    def values(self) -> Iterator[PairBook]:
        """The books."""
        return iter(self._books.values())

    @property
    def followed(self) -> dict[str, int]:
        """The pairs that this watcher follows, and the slot through which it did."""
        return {key: book.done for key, book in self._books.items() if book.done is not None}

    @property
    def orders(self) -> int:
        """The number of orders in all books."""
        return sum(len(book) for book in self._books.values())

    def add(self, order: Order) -> tuple[PairBook, bool]:
        """The book of the order's pair, and whether it did not hold the order with these terms."""
        pair = Pair(order.token_in, order.token_out, order.decimals_in, order.decimals_out)
        book = self._books.get(pair.key) or self._books.setdefault(pair.key, PairBook(pair))
        first = first_slot(order, self._market)
        return book, book.add(order, first, book.pause_of(order, first, self._market))

    def discard(self, order_id: str) -> None:
        """Removes an order from every book."""
        for book in self._books.values():
            book.discard(order_id)
