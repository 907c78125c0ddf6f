"""The engine switch (kill switch): halt and resume.

Beside the events, `meta` has a `halted` mark by which the append function refuses sends and
triggers. The mark follows the events; where they differ in a damaged log, a switch repairs it.
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
    """The outcome of a switch."""

    DONE = "done"
    ALREADY = "already"
    """The engine was in that state already; nothing was written."""
    CONFLICT = "conflict"
    """The engine's state kept changing, or the log refused the append."""


class Answer(NamedTuple):
    """The outcome of a switch, and the current state of the engine."""

    outcome: Outcome
    engine: EngineState | None = None
    """None after a conflict."""


async def halt(log: EventLog, reason: str, actor: str) -> Answer:
    """Stops sends and triggers. Raises LogError."""
    return await _switch(log, EngineHalted(reason, actor))


async def resume(log: EventLog, actor: str, reason: str = "") -> Answer:
    """Ends a halt. Raises LogError."""
    return await _switch(log, EngineResumed(reason, actor))


async def engine_state(log: EventLog) -> EngineState | None:
    """The engine's state; None: it was never halted. Raises LogError or `msgspec.DecodeError`."""
    head = (await log.load([ENGINE_STREAM_ID]))[0]
    return None if head is None else engine_in(head)


def decide(engine: EngineState, fact: Switch, *, marked: bool) -> list[Fact]:
    """The events that bring the engine into the requested state. Pure.

    `marked`: whether the log refuses sends. Where that differs from the state of the events, the
    opposite switch is appended first, and a second decision appends the requested one.
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
        for _ in range(TRIES):  # a second time where the first only repaired the mark
            executed = await execute(log, ENGINE_STREAM_ID, decided, read=read)
            if fact in executed.facts:
                return Answer(Outcome.DONE, executed.now)
            if not executed.facts:
                return Answer(Outcome.ALREADY, executed.now)
    except (KeepsChanging, NotTaken):
        return Answer(Outcome.CONFLICT)
    return Answer(Outcome.CONFLICT)
