"""Running ahead: what several stages would say of an order in turn, said in one breath.

A sniper that has to pass four inboxes comes too late. While every stage has its answer at once, its
facts join those before them in one append: all of them, or none, by the order's version, the halt
and the expiry. What takes longer, or is refused, is left to the stage whose turn it is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence

from events.chain import GENESIS, say
from events.order import Order, owed_by
from events.types import Fact
from stages.stage import NotYet, Refused, Stage

PATIENCE_S = 0.02
"""How long a venue may take to answer; it is asked again by the stage itself."""


async def run_ahead(
    order: Order, facts: Sequence[Fact], stages: Mapping[str, Stage]
) -> tuple[list[Fact], Order]:
    """`facts` and what `stages` add to them, and the order after all of it."""
    said = list(facts)
    order = _after(order, facts)
    while (stage := stages.get(owed_by(order) or "")) is not None:
        begin = stage.begin(order)
        try:
            [answer] = stage.ask([order])
            if inspect.isawaitable(answer):
                async with asyncio.timeout(PATIENCE_S):
                    answer = await answer
            if isinstance(answer, Exception):
                raise answer
            decided = stage.decide(order, answer)
        except (Refused, OSError):  # TimeoutError is an OSError
            break
        if isinstance(decided, NotYet):
            break
        following = [*([] if begin is None else [begin]), *decided]
        said += following
        order = _after(order, following)
    return said, order


def _after(order: Order, facts: Sequence[Fact]) -> Order:
    """Times and hashes are those of the append; nothing is decided by them."""
    return say(order, GENESIS, facts, time_us=order.updated_at_us, build="").order
