"""One key, one order: what the log keeps under a client's names for an order.

The value is the order id and the digest of the canonical request, so that a retry is told from
another request under the same key. The Idempotency-Key is no part of the request: an order may be
asked for again under either of its names.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec.structs import astuple, replace

from events.log import Idempotency
from events.log.redis.keys import Keys
from events.types import OrderSubmitted

ID_LENGTH = 36
_FIRST_FIELDS = 11
"""Of OrderSubmitted, when there were market orders only,"""
_SECOND_FIELDS = 15
"""… when every input was exact,"""
_THIRD_FIELDS = 17
"""… and since outputs may be. A field appended later adds a line."""
_TAG = OrderSubmitted.__name__

_encode = msgspec.msgpack.Encoder().encode


class Claim(NamedTuple):
    """What stands under a key."""

    order_id: str
    digest: bytes


def digest_of(fact: OrderSubmitted) -> bytes:
    """The digest of what was asked for, whatever way it was written."""
    asked = replace(fact, idempotency_key=None)
    # Without what was appended since: a retry across an upgrade is still the same request.
    fields = _THIRD_FIELDS
    if fact.exact_amount_out is None:
        plain = fact.order_type == "market" and not fact.time_in_force
        fields = _FIRST_FIELDS if plain else _SECOND_FIELDS
    return sha256(_encode((_TAG, *astuple(asked)[:fields]))).digest()


def names_of(keys: Keys, account: str, order_id: str, fact: OrderSubmitted) -> Idempotency | None:
    """The names that the append registers, None for an order without any."""
    names = keys.names(account, fact.client_order_id, fact.idempotency_key)
    return Idempotency(names, order_id.encode() + digest_of(fact)) if names else None


def claim_of(value: bytes) -> Claim:
    """Inverse of what `names_of` registers."""
    return Claim(value[:ID_LENGTH].decode(), value[ID_LENGTH:])
