"""Running ahead: what several stages would say of an order in turn, said in one breath.

An order that passes an inbox at each stage pays a round trip and an fsync for each. While every
stage has its answer at once, its facts join those before them in one append: all of them, or none,
by the order's version, the halt and the expiry. What takes longer, or is refused, is left to the
stage whose turn it is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping

from events.order import Order, owed_by
from events.order.hash_chain import Said
from events.types import Fact
from stages.runtime.stage import Answer, NotYet, Refused, Stage

PATIENCE_S = 0.02
"""How long a venue may take to answer; it is asked again by the stage itself."""

Ahead = Mapping[str, Stage]
"""The stages that may be run ahead through, by name."""


async def run_ahead(said: Said, stages: Ahead) -> None:
    """Adds to `said` what `stages` say after it, waiting a moment for answers."""
    while (stage := stages.get(owed_by(said.order) or "")) is not None:
        order = said.order
        try:
            [answer] = stage.ask([order])
            if inspect.isawaitable(answer):
                async with asyncio.timeout(PATIENCE_S):
                    answer = await answer
            following = _decided(stage, order, answer)
        except (Refused, OSError):  # TimeoutError is an OSError
            break
        if not following:
            break
        said.go_on(following)


def run_ahead_at_once(said: Said, stages: Ahead) -> None:
    """As `run_ahead`, as far as nobody has to be waited for. Never raises: what goes wrong is for
    the stage whose turn it is to find, and to judge.
    """
    while (stage := stages.get(owed_by(said.order) or "")) is not None:
        order = said.order
        try:
            [answer] = stage.ask([order])
            if hasattr(answer, "__await__"):
                _drop(answer)
                break
            following = _decided(stage, order, answer)
            if not following:
                break
            said.go_on(following)
        except Exception:  # see above
            break


def _decided(stage: Stage, order: Order, answer: Answer) -> list[Fact]:
    """What the stage says; nothing where it has nothing to say yet."""
    begin = stage.begin(order)
    if isinstance(answer, Exception):
        raise answer
    decided = stage.decide(order, answer)
    if isinstance(decided, NotYet):
        return []
    return [*([] if begin is None else [begin]), *decided]


def _drop(answer: Awaitable[Answer]) -> None:
    """An answer that nobody will wait for."""
    if inspect.iscoroutine(answer):
        answer.close()
    elif isinstance(answer, asyncio.Future):
        answer.cancel()
