"""Asks all venues at once; a venue that fails or is slow loses its own quote only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from events.money import price_units
from events.order import Order
from events.types import Quote
from stages.runtime.stage import VenueRefusal
from stages.venues import Pair, PoolEvent, Tick, Venue


def _refusal(venue: Venue, order: Order, error: VenueRefusal) -> tuple[Quote]:
    return (Quote(venue.name, "", order.amount_in, 0, 0, 0, error.code),)


class VenueGroup:
    """Several venues as one."""

    def __init__(self, venues: Sequence[Venue], *, timeout_s: float) -> None:
        self.venues = venues
        self._timeout_s = timeout_s

    def quotes(self, order: Order) -> tuple[Quote, ...] | Awaitable[tuple[Quote, ...]]:
        """The quotes of all venues, refusals included."""
        answers: list[Sequence[Quote] | Awaitable[Sequence[Quote]]] = []
        later = False
        for venue in self.venues:
            try:
                answer = venue.quotes(order)
            except VenueRefusal as error:
                answer = _refusal(venue, order, error)
            later = later or not isinstance(answer, tuple)
            answers.append(answer)
        return self._gather(order, answers) if later else _joined(answers)  # type: ignore[arg-type]  # none is awaitable

    async def ask(self, order: Order) -> tuple[Quote, ...]:
        """As `quotes`, waiting for the venues that answer later."""
        answer = self.quotes(order)
        return answer if isinstance(answer, tuple) else await answer

    def slot(self) -> int:
        """The newest slot: the venues share a chain."""
        return self.venues[0].slot()

    def slot_at(self, time_us: int) -> int:
        """The slot of a time, or one shortly before it."""
        return self.venues[0].slot_at(time_us)

    async def next_slot(self, after: int) -> int:
        """The newest slot, as soon as there is one later than `after`."""
        return await self.venues[0].next_slot(after)

    def ticks(self, pair: Pair, first: int, last: int) -> list[Tick]:
        """The best tick of each slot from `first` through `last`; of equals the first."""
        best: dict[int, tuple[int, Tick]] = {}
        for venue in self.venues:
            for tick in venue.ticks(pair, first, last):
                units = price_units(tick.price)
                if tick.slot not in best or units > best[tick.slot][0]:
                    best[tick.slot] = units, tick
        return [best[slot][1] for slot in sorted(best)]

    def pools(self, pair: Pair, first: int, last: int) -> list[PoolEvent]:
        """The pool events of all venues from slot `first` through `last`, in order of slots."""
        pools = [event for venue in self.venues for event in venue.pools(pair, first, last)]
        return sorted(pools, key=lambda event: event.slot)

    async def _gather(
        self, order: Order, answers: Sequence[Sequence[Quote] | Awaitable[Sequence[Quote]]]
    ) -> tuple[Quote, ...]:
        return _joined(
            await asyncio.gather(
                *(
                    self._answer(venue, order, answer)
                    for venue, answer in zip(self.venues, answers, strict=True)
                )
            )
        )

    async def _answer(
        self, venue: Venue, order: Order, answer: Sequence[Quote] | Awaitable[Sequence[Quote]]
    ) -> Sequence[Quote]:
        if isinstance(answer, Sequence):
            return answer
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except VenueRefusal as error:
            return _refusal(venue, order, error)
        except TimeoutError:
            return _refusal(venue, order, VenueRefusal("venue-timeout"))


def _joined(answers: Sequence[Sequence[Quote]]) -> tuple[Quote, ...]:
    return tuple([quote for quotes in answers for quote in quotes])
