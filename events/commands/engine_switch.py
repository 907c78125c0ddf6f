"""The switch of the whole engine: halt and resume.

The log keeps a mark beside the events, which the append function looks at: it refuses sends and
triggers. The mark follows the events; where a damaged log has another one, a switch mends it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from events.commands.execute import TRIES, KeepsChanging, NotTaken, execute
from events.ids import ENGINE_ID
from events.log import EventLog, Head
from events.log.head import new_order
from events.order import Order
from events.types import EngineHalted, EngineResumed, Fact, Status

Switch = EngineHalted | EngineResumed


class Outcome(Enum):
    """What became of a switch."""

    DONE = "done"
    ALREADY = "already"
    """The engine was in that state; nothing was written."""
    CONFLICT = "conflict"
    """The engine's state kept changing, or the log takes nothing now."""


class Answer(NamedTuple):
    """What became of a switch, and the engine's state as it is now."""

    outcome: Outcome
    engine: Order


async def halt(log: EventLog, reason: str, actor: str) -> Answer:
    """Lets nothing be sent and no trigger fire from now on. Raises LogError."""
    return await _switch(log, EngineHalted(reason, actor))


async def resume(log: EventLog, actor: str, reason: str = "") -> Answer:
    """Ends a halt. Raises LogError."""
    return await _switch(log, EngineResumed(reason, actor))


async def engine_state(log: EventLog) -> Order | None:
    """The engine's own state (`status` halted or running, `reason`); None: never halted."""
    head = (await log.load([ENGINE_ID]))[0]
    return None if head is None else head.order


def decide(engine: Order, wanted: Switch, *, marked: bool) -> list[Fact]:
    """What to write for the state that is wanted. Pure.

    `marked`: whether the log refuses sends. Where that is not what the events say, a switch to the
    opposite comes first: a second decision then finds the events there and goes on.
    """
    halts = isinstance(wanted, EngineHalted)
    if (engine.version > 0 and engine.status is Status.HALTED) is not halts:
        return [wanted]
    return [] if marked is halts else [_opposite(wanted)]


def _opposite(wanted: Switch) -> Switch:
    other = EngineResumed if isinstance(wanted, EngineHalted) else EngineHalted
    return other("the mark in the log was not what its events say", wanted.actor)


async def _switch(log: EventLog, wanted: Switch) -> Answer:
    async def read(head: Head | None) -> Order:
        return new_order(ENGINE_ID, "") if head is None else head.order

    async def decided(engine: Order) -> list[Fact]:
        return decide(engine, wanted, marked=await log.halted())

    try:
        for _ in range(TRIES):  # the second time where the first only mended the mark
            executed = await execute(log, ENGINE_ID, decided, read=read)
            if wanted in executed.facts:
                return Answer(Outcome.DONE, executed.now)
            if not executed.facts:
                return Answer(Outcome.ALREADY, executed.now)
    except (KeepsChanging, NotTaken) as error:
        return Answer(Outcome.CONFLICT, error.state)
    return Answer(Outcome.CONFLICT, executed.now)
