"""The switch of the whole engine (kill switch): halt and resume.

The log keeps a mark beside the events, by which the append function refuses sends and triggers. The
mark follows the events; where a damaged log has another one, a halt or resume corrects it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from events.commands.execute import TRIES, KeepsChanging, NotTaken, execute
from events.ids import ENGINE_STREAM_ID
from events.log import EventLog, OrderHead, engine_in
from events.streams import EngineState
from events.types import EngineHalted, EngineResumed, EngineStatus, Fact

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
    engine: EngineState | None = None
    """None after a conflict."""


async def halt(log: EventLog, reason: str, actor: str) -> Answer:
    """Lets nothing be sent and no trigger fire from now on. Raises LogError."""
    return await _switch(log, EngineHalted(reason, actor))


async def resume(log: EventLog, actor: str, reason: str = "") -> Answer:
    """Ends a halt. Raises LogError."""
    return await _switch(log, EngineResumed(reason, actor))


async def engine_state(log: EventLog) -> EngineState | None:
    """None: it was never halted. Raises LogError, or `msgspec.DecodeError`."""
    head = (await log.load([ENGINE_STREAM_ID]))[0]
    return None if head is None else engine_in(head)


def decide(engine: EngineState, fact: Switch, *, marked: bool) -> list[Fact]:
    """What to write for the state that is wanted. Pure.

    `marked`: whether the log refuses sends. Where that is not what the events say, a switch to the
    opposite comes first: a second decision then finds the events there and goes on.
    """
    halts = isinstance(fact, EngineHalted)
    if (engine.status is EngineStatus.HALTED) is not halts:
        return [fact]
    return [] if marked is halts else [_opposite(fact)]


def _opposite(fact: Switch) -> Switch:
    other = EngineResumed if isinstance(fact, EngineHalted) else EngineHalted
    return other("the mark in the log was not what its events say", fact.actor)


async def _switch(log: EventLog, fact: Switch) -> Answer:
    async def read(head: OrderHead | None) -> EngineState:
        return EngineState() if head is None else engine_in(head)

    async def decided(engine: EngineState) -> list[Fact]:
        return decide(engine, fact, marked=await log.halted())

    try:
        for _ in range(TRIES):  # the second time where the first only mended the mark
            executed = await execute(log, ENGINE_STREAM_ID, decided, read=read)
            if fact in executed.facts:
                return Answer(Outcome.DONE, executed.now)
            if not executed.facts:
                return Answer(Outcome.ALREADY, executed.now)
    except (KeepsChanging, NotTaken):
        return Answer(Outcome.CONFLICT)
    return Answer(Outcome.CONFLICT)
