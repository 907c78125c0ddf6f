"""The statuses of an order and of the engine switch. Stored and public: never renamed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING


class Status(StrEnum):
    """The public status of an order. `NEXT` in `events.order` has the transitions."""

    PENDING = "pending"
    WATCHING = "watching"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class EngineStatus(StrEnum):
    """The status of the engine switch. Events of API keys carry `running`."""

    HALTED = "halted"
    RUNNING = "running"


if TYPE_CHECKING:
    StreamStatus = Status | EngineStatus
else:
    # The decoder takes no union of two enums. The members equal those of the two and are not the
    # same objects: the status of an event is compared by `==`.
    StreamStatus = StrEnum("StreamStatus", {**Status.__members__, **EngineStatus.__members__})


TERMINAL = frozenset({Status.CONFIRMED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})

UNSENT = (Status.PENDING, Status.WATCHING, Status.ROUTING, Status.BUILDING)
"""The statuses before the first send."""

OPEN = (*UNSENT, Status.SUBMITTED)
"""The statuses that are not terminal."""

assert {*OPEN, *TERMINAL} == set(Status), "every status is open or terminal"
