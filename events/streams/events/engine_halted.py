"""The event `EngineHalted`."""

from __future__ import annotations

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import EngineState
from events.streams.system_event import SystemEvent


class EngineHalted(Fact, frozen=True, array_like=True, tag=True):
    """Sends and triggers stop. An event of the stream `ENGINE_STREAM_ID`."""

    reason: str
    actor: str


def _apply(switch: EngineState, fact: EngineHalted, _: int) -> None:
    switch.status = EngineStatus.HALTED
    switch.reason = fact.reason


EVENT = SystemEvent(
    EngineHalted,
    transitions={None: EngineStatus.HALTED, EngineStatus.RUNNING: EngineStatus.HALTED},
    apply=_apply,
)
