"""Decide: from answers to facts, to another attempt, or to asking again later.

Rule of this file: pure. Time and jitter come from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from events.log import LogError
from events.order import may_still_land
from stages.runtime.retry import RetryPolicy, after_refusal
from stages.runtime.stage import NotYet, Refused, Stage
from stages.runtime.work import Answered, Decided, Work


class Fault(NamedTuple):
    """A bug met this order: it is parked, it alone."""

    work: Work
    error: Exception


class Decisions(NamedTuple):
    """What was decided of a group."""

    decided: list[Decided]
    again: list[Work]
    """To be asked about again later: nothing to write yet."""
    faults: list[Fault]


def decide(
    answered: Sequence[Answered],
    stage: Stage,
    retry: RetryPolicy,
    *,
    now_us: int,
    jitter: Callable[[], float],
) -> Decisions:
    """Each order on its own. `jitter` is drawn once a refusal, 0 to 1."""
    decisions = Decisions([], [], [])
    for one in answered:
        try:
            decided = _decide(one, stage, retry, now_us, jitter)
        except LogError:
            raise
        except Exception as error:
            decisions.faults.append(Fault(one.work, error))
            continue
        if decided is None:
            decisions.again.append(one.work)
        else:
            decisions.decided.append(decided)
    return decisions


def _decide(
    one: Answered, stage: Stage, retry: RetryPolicy, now_us: int, jitter: Callable[[], float]
) -> Decided | None:
    """What to write about an order; None is to ask again later."""
    work, order = one.work, one.work.order
    begin = stage.begin(order)
    wait_ms = 0
    try:
        if isinstance(one.answer, Exception):
            raise one.answer
        facts = stage.decide(order, one.answer)
    except (Refused, OSError) as error:
        if may_still_land(order):
            return None  # that nobody answered says nothing of what was sent: ask again
        fact, wait_ms = after_refusal(
            order, stage.name, _refusal(error), retry, now_us=now_us, jitter=jitter()
        )
        facts = [fact]
    if isinstance(facts, NotYet):
        return None
    return Decided(work, facts if begin is None else [begin, *facts], wait_ms)


def _refusal(error: Refused | OSError) -> Refused:
    if isinstance(error, Refused):
        return error
    # TimeoutError too: the venue cannot be reached.
    return Refused("venue-unavailable", repr(error), retryable=True)
