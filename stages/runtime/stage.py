"""What a stage is: four small functions that the pipeline calls.

A stage knows neither Redis nor the stage after it. `ask` is its one effect before the append and
`after` its one effect behind it. `decide` is pure: an audit repeats it on what the events recorded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from events.order import Order
from events.reason_codes import ReasonCode
from events.types import Fact


class VenueRefusal(Exception):
    """A venue refuses, or cannot answer. `code` is stable and recorded in the event."""

    def __init__(self, code: ReasonCode, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retryable = retryable


class NotYet:
    """The decision to ask again later and to append nothing now."""


NOT_YET = NotYet()

Answer = Any
"""What `ask` returns and `decide` is given; each stage has its own type."""


class Later(msgspec.Struct, frozen=True, gc=False):
    """An answer that has to be awaited."""

    awaitable: Awaitable[Answer]

    def drop(self) -> None:
        """Cancels a question whose answer is not needed any more."""
        answer = self.awaitable
        if inspect.iscoroutine(answer):
            if inspect.getcoroutinestate(answer) == inspect.CORO_CREATED:
                answer.close()
        elif isinstance(answer, asyncio.Future):
            answer.cancel()


def _no_questions(orders: Sequence[Order]) -> Sequence[Answer]:
    return [None] * len(orders)


def _nothing_to_begin(_: Order) -> Fact | None:
    return None


def _at_once(_: Order, __: int) -> int:
    return 0


After = Callable[[Sequence[Order]], Coroutine[Any, Any, None]]
"""The effect that follows the appended facts of these orders."""


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    decide: Callable[[Order, Answer], Sequence[Fact] | NotYet]
    """Pure. Raises VenueRefusal where the answer is a refusal."""
    ask: Callable[[Sequence[Order]], Sequence[Answer | Later]] = _no_questions
    """One answer for each order, at once or as `Later`. May raise VenueRefusal."""
    begin: Callable[[Order], Fact | None] = _nothing_to_begin
    """The fact that is appended as soon as work on the order starts, if any."""
    after: After | None = None
    """Called once the facts of these orders are durable."""
    wait_ms: Callable[[Order, int], int] = _at_once
    """The wait in ms after NOT_YET, given the order and the time in µs."""
    deadline_s: float = 30.0
    """A venue whose answer takes longer counts as unreachable."""
    needs_permit: bool = False
    """Whether its orders are in venue calls, which CONCURRENCY limits."""
    paced: bool = False
    """Whether its `begin` is what ORDERS_PER_MINUTE limits."""
