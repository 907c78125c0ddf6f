"""The public view of `KeyCreated`."""

from __future__ import annotations

from events.types import KeyCreated
from projections.views.formats import time_or_none
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Time


class KeyCreatedPayload(Payload):
    """Adds the account, scopes and expiry of an API key; never its secret. Belongs to no order."""

    key_id: str
    key_account: str
    scopes: list[str]
    label: str
    expires_at: Time | None
    actor: str


def _payload(fact: KeyCreated) -> KeyCreatedPayload:
    return KeyCreatedPayload(
        key_id=fact.key_id,
        key_account=fact.account,
        scopes=list(fact.scopes),
        label=fact.label,
        expires_at=time_or_none(fact.expires_at_us),
        actor=fact.actor,
    )


def _lines(fact: KeyCreated) -> list[str]:
    return [f"{fact.key_id}, by {fact.actor}"]


VIEW = EventView(
    KeyCreated,
    KeyCreatedPayload,
    _payload,
    _lines,
    label="Key created",
)
