"""What a stage is: four small functions that the runner drives. A stage knows neither Redis nor

the stage after it. `ask` is its one effect before the append, `after` its one effect behind it;
`decide` is pure, so that an audit can run it again on what the events recorded.
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
    """A venue's answer that says nothing. `code` is stable and goes into the event."""

    def __init__(self, code: ReasonCode, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retryable = retryable


class NotYet:
    """A decision to ask again later, with nothing to say now."""


NOT_YET = NotYet()

Answer = Any
"""What `ask` learned and `decide` judges; each stage has its own type."""


class Later(msgspec.Struct, frozen=True, gc=False):
    """An answer that is not there yet."""

    awaitable: Awaitable[Answer]

    def drop(self) -> None:
        """Ends a question whose answer nobody waits for."""
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
"""The effect that follows what was said of these orders."""


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    decide: Callable[[Order, Answer], Sequence[Fact] | NotYet]
    """Pure. Raises Refused where the answer is a refusal."""
    ask: Callable[[Sequence[Order]], Sequence[Answer | Later]] = _no_questions
    """One answer an order: at once, or `Later`. May raise Refused."""
    begin: Callable[[Order], Fact | None] = _nothing_to_begin
    """Said as soon as work on the order starts, once."""
    after: After | None = None
    """Done once the facts of these orders are durable."""
    wait_ms: Callable[[Order, int], int] = _at_once
    """After NOT_YET: how long to wait, given the order and the time (µs)."""
    deadline_s: float = 30.0
    """An answer that takes longer counts as a venue that cannot be reached."""
    needs_permit: bool = False
    """Its orders are in venue calls: CONCURRENCY counts them."""
    paced: bool = False
    """Its begin is what ORDERS_PER_MINUTE counts."""
