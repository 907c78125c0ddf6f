"""The public view of `KeyRevoked`."""

from __future__ import annotations

from events.types import KeyRevoked
from projections.views.payloads.base import EventView, Payload


class KeyRevokedPayload(Payload):
    """Adds the reason and the operator."""

    key_id: str
    reason: str
    actor: str


def _payload(fact: KeyRevoked) -> KeyRevokedPayload:
    return KeyRevokedPayload(key_id=fact.key_id, reason=fact.reason, actor=fact.actor)


def _lines(fact: KeyRevoked) -> list[str]:
    return [f"{fact.key_id}, by {fact.actor}"]


VIEW = EventView(
    KeyRevoked,
    KeyRevokedPayload,
    _payload,
    _lines,
    label="Key revoked",
)
