"""Asks all venues at once; one that fails or is slow costs its own quote only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from events.order import Order
from events.types import Quote
from stages.stage import Refused
from stages.venues import Venue

RETRYABLE = {"venue-timeout", "venue-unavailable"}
"""Codes of quotes that may be different the next time."""


def _refusal(venue: Venue, order: Order, error: Refused) -> Quote:
    return Quote(venue.name, "", order.amount_in, 0, 0, 0, error.code)


class Market:
    """Several venues as one."""

    def __init__(self, venues: Sequence[Venue], *, timeout_s: float) -> None:
        self.venues = venues
        self._timeout_s = timeout_s

    def quotes(self, order: Order) -> tuple[Quote, ...] | Awaitable[tuple[Quote, ...]]:
        """One quote a venue, refusals included."""
        answers: list[Quote | Awaitable[Quote]] = []
        for venue in self.venues:
            try:
                answers.append(venue.quote(order))
            except Refused as error:
                answers.append(_refusal(venue, order, error))
        at_once = tuple(answer for answer in answers if isinstance(answer, Quote))
        return at_once if len(at_once) == len(answers) else self._gather(order, answers)

    async def _gather(
        self, order: Order, answers: Sequence[Quote | Awaitable[Quote]]
    ) -> tuple[Quote, ...]:
        return tuple(
            await asyncio.gather(
                *(
                    self._answer(venue, order, answer)
                    for venue, answer in zip(self.venues, answers, strict=True)
                )
            )
        )

    async def _answer(self, venue: Venue, order: Order, answer: Quote | Awaitable[Quote]) -> Quote:
        if isinstance(answer, Quote):
            return answer
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except Refused as error:
            return _refusal(venue, order, error)
        except TimeoutError:
            return _refusal(venue, order, Refused("venue-timeout"))
