"""Decide: turns answers into facts, another attempt, or a later question.

Rule of this file: pure. Time and jitter are parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from events.log import LogError
from events.order import may_still_land
from events.telemetry.error_text import error_text
from stages.runtime.retry import RetryPolicy, after_refusal
from stages.runtime.stage import NotYet, Stage, VenueRefusal
from stages.runtime.work import Answered, Decided, WorkItem


class Fault(NamedTuple):
    """An order that a decision raised an unexpected error for: it is parked."""

    work: WorkItem
    error: Exception


class Decisions(NamedTuple):
    """The orders of a group, by what was decided."""

    decided: list[Decided]
    again: list[WorkItem]
    """Asked about again later: there is nothing to write yet."""
    faults: list[Fault]


def decide(
    answered: Sequence[Answered],
    stage: Stage,
    retry: RetryPolicy,
    *,
    now_us: int,
    jitter: Callable[[], float],
) -> Decisions:
    """Decides each order on its own. `jitter` returns 0 to 1, called once for each refusal."""
    decisions = Decisions([], [], [])
    for answer in answered:
        try:
            decided = _decide(answer, stage, retry, now_us, jitter)
        except LogError:
            raise
        except Exception as error:
            decisions.faults.append(Fault(answer.work, error))
            continue
        if decided is None:
            decisions.again.append(answer.work)
        else:
            decisions.decided.append(decided)
    return decisions


def _decide(
    answered: Answered, stage: Stage, retry: RetryPolicy, now_us: int, jitter: Callable[[], float]
) -> Decided | None:
    """What to write about an order; None: ask again later."""
    work, order = answered.work, answered.work.order
    begin = stage.begin(order)
    wait_ms = 0
    try:
        if isinstance(answered.answer, Exception):
            raise answered.answer
        facts = stage.decide(order, answered.answer)
    except (VenueRefusal, OSError) as error:
        if may_still_land(order):
            return None  # that no answer came says nothing of what was sent: ask again
        fact, wait_ms = after_refusal(
            order, stage.name, _refusal(error), retry, now_us=now_us, jitter=jitter()
        )
        facts = [fact]
    if isinstance(facts, NotYet):
        return None
    return Decided(work, facts if begin is None else [begin, *facts], wait_ms)


def _refusal(error: VenueRefusal | OSError) -> VenueRefusal:
    if isinstance(error, VenueRefusal):
        return error
    # An OSError, such as a TimeoutError: the venue cannot be reached.
    return VenueRefusal("venue-unavailable", error_text(error), retryable=True)
