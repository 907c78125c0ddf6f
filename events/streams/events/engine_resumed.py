"""The event `EngineResumed`."""

from __future__ import annotations

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import EngineState
from events.streams.system_event import SystemEvent


class EngineResumed(Fact, frozen=True, array_like=True, tag=True):
    """Sends and triggers continue. An event of the stream `ENGINE_STREAM_ID`."""

    reason: str
    actor: str


def _apply(switch: EngineState, fact: EngineResumed, _: int) -> None:
    switch.status = EngineStatus.RUNNING
    switch.reason = fact.reason


EVENT = SystemEvent(
    EngineResumed,
    transitions={EngineStatus.HALTED: EngineStatus.RUNNING},
    apply=_apply,
)
