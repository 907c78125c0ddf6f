"""The rent is read once an hour; without an answer it is the last known, or the maximum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.rents import ASKED_EVERY_S, UNANSWERED_S, Rents
from stages.venues.solana.transaction.wrapping import rent_at_most

OLD, NEW = 2_039_280, 203_928
DOWN = VenueRefusal("venue-unavailable", retryable=True)


class Node:
    """Answers in order, and counts."""

    def __init__(self, *answers: int | VenueRefusal) -> None:
        self._answers: Iterator[int | VenueRefusal] = iter(answers)
        self.asked = 0

    async def get_minimum_balance(self, _: int) -> int:
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, VenueRefusal):
            raise answer
        return answer


class Clock:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


def rents(*answers: int | VenueRefusal) -> tuple[Rents, Node, Clock]:
    node, clock = Node(*answers), Clock()
    rpc: Any = node
    return Rents(rpc, clock), node, clock


async def test_the_rent_is_requested_once_an_hour() -> None:
    created, node, clock = rents(OLD, NEW)
    assert [await created.of(165) for _ in range(3)] == [OLD] * 3
    assert node.asked == 1
    clock.now_s += ASKED_EVERY_S
    assert await created.of(165) == NEW


async def test_without_an_answer_the_rent_is_the_last_known_or_the_maximum() -> None:
    created, node, clock = rents(DOWN, NEW, DOWN)
    assert await created.of(165) == rent_at_most(165) == OLD
    assert await created.of(165) == OLD
    assert node.asked == 1, "not with every order"
    clock.now_s += UNANSWERED_S
    assert await created.of(165) == NEW
    clock.now_s += ASKED_EVERY_S
    assert await created.of(165) == NEW


async def test_a_raised_rent_is_noticed_when_it_is_doubted() -> None:
    created, _, _ = rents(NEW, NEW, OLD)
    assert await created.of(165) == NEW
    assert not await created.rose(165, NEW)
    assert await created.rose(165, NEW)
    assert await created.of(165) == OLD
