"""The shape of frames: the fields of all events, and the messages that are not events."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from projections.views.enums import EventStatus, FollowErrorCode, LostCode
from projections.views.schemas import Count, Cursor, OrderId, Position, Shape, Time


class Frame(Shape):
    """What every event has."""

    order_id: OrderId
    status: EventStatus
    event: str
    version: Annotated[int, Meta(ge=1, description="Of the order: 1, 2, … without gaps.")]
    position: Position
    cursor: Cursor
    timestamp: Time
    account: str
    build: Annotated[str, Meta(description="Of the engine that wrote it.")]
    hash: Annotated[
        str, Meta(pattern="^[0-9a-f]+$", description="The link of the hash chain, hex.")
    ]


class UnknownFrame(Shape):
    """An event that only a newer build can read: positions have no gaps."""

    order_id: str
    status: str
    event: str
    version: Count
    position: Position
    cursor: Cursor
    timestamp: Time
    hash: str


class Heartbeat(Shape):
    """The connection lives, and everything up to `position` was sent."""

    event: str
    head: Annotated[int, Meta(ge=0, description="The newest position of the log.")]
    position: Position
    cursor: Cursor
    timestamp: Time
    log: Annotated[str, Meta(description="`unavailable` while it does not answer.")] | UnsetType = (
        UNSET
    )


class Lost(Shape):
    """Events cannot be delivered any more. The stream continues after `position`; frames after it
    that were received before are void.
    """

    event: str
    code: LostCode
    recovered: bool
    position: Position
    cursor: Cursor
    timestamp: Time


class Shutdown(Shape):
    """The gateway restarts: resume from the last cursor."""

    event: str
    code: Annotated[str, Meta(extra_json_schema={"const": "shutdown"})]
    message: str


class Following(Shape):
    """The order is followed, and its events so far were sent."""

    event: str
    order_id: OrderId
    id: str
    live: bool


class Unfollowed(Shape):
    """The order is not followed any more, or never was."""

    event: str
    order_id: OrderId
    id: str
    live: bool


class FollowFault(Shape):
    """A message of the client was refused."""

    event: str
    code: FollowErrorCode
    order_id: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


CONTROL_MESSAGES: dict[str, tuple[str, type[Shape]]] = {
    "Heartbeat": ("heartbeat", Heartbeat),
    "Lost": ("notice", Lost),
    "Shutdown": ("notice", Shutdown),
    "Following": ("following", Following),
    "Unfollowed": ("unfollowed", Unfollowed),
    "FollowFault": ("error", FollowFault),
}
"""The messages of a socket that are not events: the value of `event`, and the shape."""
