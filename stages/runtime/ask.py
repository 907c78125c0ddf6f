"""Ask: the stage's one effect before the append. An answer is known at once, or comes later.

A later answer is awaited in a task of its own, under the stage's deadline. The fact that work on
the order has begun is appended meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from events.log import AppendStatus, head_of
from stages.runtime.admit import starts_to_wait
from stages.runtime.stage import Answer, Later, Stage
from stages.runtime.work import Answered, Context, Pending, WorkItem

WRITTEN = (AppendStatus.CREATED, AppendStatus.EXISTS)

T = TypeVar("T")
R = TypeVar("R")


class Asked(NamedTuple):
    """The answers of a group."""

    now: list[Answered]
    later: list[Pending]


def ask(group: Sequence[WorkItem], stage: Stage) -> Asked:
    """Asks for all orders in one call, and for each alone where that call raises."""
    asked = Asked([], [])
    answers = isolate(stage.ask, [work.order for work in group])
    for work, answer in zip(group, answers, strict=True):
        if isinstance(answer, Later):
            asked.later.append(Pending(work, answer))
        else:
            asked.now.append(Answered(work, answer))
    return asked


async def receive(pending: Pending, ctx: Context) -> Answered | None:
    """Awaits a later answer. None: the order has to be loaded again, see `begin`."""
    work = pending.work
    answer = asyncio.ensure_future(pending.answer.awaitable)
    began = time.perf_counter()
    answer.add_done_callback(lambda _: ctx.venue.observe(time.perf_counter() - began))
    try:
        begun = await begin(work, ctx)
        if begun is None:
            return None
        return Answered(begun, await _within(answer, ctx.stage.deadline_s))
    finally:
        answer.cancel()


async def begin(work: WorkItem, ctx: Context) -> WorkItem | None:
    """Appends the fact that work has begun, so that clients see it before the venue answers.

    None: another worker was faster, or ORDERS_PER_MINUTE orders have started meanwhile.
    """
    fact = ctx.stage.begin(work.order)
    if fact is None:
        return work
    if await starts_to_wait([work], ctx):
        return None
    request, order = ctx.log.build_append_of(work.head, work.order, [fact], wake=False)
    [result] = await ctx.log.append([request])
    if result.status not in WRITTEN:
        return None
    return replace(work, head=head_of(request.new), order=order)


async def _within(answer: asyncio.Future[Answer], deadline_s: float) -> Answer:
    """The answer, or the error in its place."""
    try:
        async with asyncio.timeout(deadline_s):
            return await answer
    except Exception as error:
        return error


def dropping(later: Later) -> Callable[[object], None]:
    """A done callback for a task that may be cancelled before its first step."""
    return lambda _: later.drop()


def isolate(call: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | Exception]:
    """The answers of one call for all items. Where it raises, each item gets a call of its own,
    and an item whose call raises gets the error as its answer.
    """
    try:
        return list(call(items))
    except Exception as error:
        if len(items) == 1:
            return [error]
    return [_alone(call, item) for item in items]


def _alone(call: Callable[[Sequence[T]], Sequence[R]], item: T) -> R | Exception:
    try:
        [answer] = call([item])
    except Exception as error:
        return error
    return answer
