"""Fuse: what several stages would write about an order in turn, written in one append.

An order that passes an inbox at each stage pays a round trip and an fsync for each. While every
stage has its answer at once, its facts join those before them in one append: all of them, or none,
by the order's version, the halt and the expiry. What takes longer, or is refused, is left to the
stage whose turn it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from events.order import Order, next_stage
from events.streams.hash_chain import EventBatch
from events.types import Fact
from stages.runtime.stage import Answer, Later, NotYet, Stage, VenueRefusal

PATIENCE_S = 0.02
"""How long a venue may take to answer; it is asked again by the stage itself."""

Fused = Mapping[str, Stage]
"""The stages whose facts may join, by name."""

_log = structlog.get_logger()


async def fuse_waiting(batch: EventBatch[Order], stages: Fused) -> None:
    """Adds to `said` what `stages` write after it, waiting a moment for answers."""
    while (stage := stages.get(next_stage(batch.order) or "")) is not None:
        order = batch.order
        try:
            [answer] = stage.ask([order])
            if isinstance(answer, Later):
                async with asyncio.timeout(PATIENCE_S):
                    answer = await answer.awaitable
            following = _decided(stage, order, answer)
        except (VenueRefusal, OSError):  # TimeoutError is an OSError
            break
        if not following:
            break
        batch.extend(following)


def fuse(batch: EventBatch[Order], stages: Fused) -> None:
    """As `fuse_waiting`, as far as all answers are there at once. Never raises: what goes wrong is
    for the stage whose turn it is to find, and to judge.
    """
    while (stage := stages.get(next_stage(batch.order) or "")) is not None:
        order = batch.order
        try:
            [answer] = stage.ask([order])
            if isinstance(answer, Later):
                answer.drop()
                break
            following = _decided(stage, order, answer)
            if not following:
                break
            batch.extend(following)
        except Exception as error:  # see above
            _log.debug("not fused", stage=stage.name, order_id=order.id, error=repr(error))
            break


def _decided(stage: Stage, order: Order, answer: Answer) -> list[Fact]:
    """What the stage writes; nothing where it has nothing to write yet."""
    begin = stage.begin(order)
    if isinstance(answer, Exception):
        raise answer
    decided = stage.decide(order, answer)
    if isinstance(decided, NotYet):
        return []
    return [*([] if begin is None else [begin]), *decided]
