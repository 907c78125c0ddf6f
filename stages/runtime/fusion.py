"""Fuse: appends the facts of several stages at once (operator chaining).

An inbox costs a round trip and an fsync at each stage. While the next stage has its answer at once,
its facts join the batch before them: all of the batch is appended or none, as version, halt and
expiry allow. An answer that takes longer, or is a refusal, is left to the stage itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from events.hash_chain import EventBatch
from events.order import Order, next_stage
from events.telemetry.error_text import error_text
from events.types import Fact
from stages.runtime.stage import Answer, Later, NotYet, Stage, VenueRefusal

PATIENCE_S = 0.02
"""How long a venue may take to answer before it is left to the stage itself."""

Fused = Mapping[str, Stage]
"""The stages whose facts may join, by name."""

_log = structlog.get_logger()


async def fuse_waiting(batch: EventBatch[Order], stages: Fused) -> None:
    """Adds the facts of the following stages to a batch, and waits PATIENCE_S for each answer."""
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
    """As `fuse_waiting`, but waits for no answer. Never raises: an error is left to the stage
    itself, which meets it again and decides on it.
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
        except Exception as error:  # left to the stage, see above
            _log.debug(
                "stage_not_fused", stage=stage.name, order_id=order.id, error=error_text(error)
            )
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
