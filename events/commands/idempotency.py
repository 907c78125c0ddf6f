"""Idempotency: the value that the log stores under a client's names for an order.

The value is the order id and the digest of the canonical request, which tells a retry from another
request under the same key. The Idempotency-Key is not part of the request: an order may be
requested again under either of its names.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec.structs import astuple, fields, replace

from events.ids import ID_LENGTH
from events.log import Idempotency, Keys
from events.order.order_types import order_type
from events.types import OrderSubmitted

DIGEST_FIELDS = {1: 11, 2: 15, 3: 17}
"""Version of the digest -> how many of the first fields of OrderSubmitted it covers.

Version 1 was introduced with market orders, 2 with limit and sniper orders, 3 with exact outputs.
A retry after an upgrade must have the same digest as before, so versions never change.
"""
assert len(fields(OrderSubmitted)) == DIGEST_FIELDS[3] + 2, (
    "a field was appended: it is part of the request, and needs a version;"
    " or, as traceparent and request_id, it is not"
)
_TAG = OrderSubmitted.__name__

_encode = msgspec.msgpack.Encoder().encode


class Claim(NamedTuple):
    """The value of an idempotency key."""

    order_id: str
    digest: bytes


def digest_of(fact: OrderSubmitted) -> bytes:
    """SHA-256 of the canonical request."""
    request = replace(fact, idempotency_key=None)
    covered = DIGEST_FIELDS[digest_version(fact)]
    return sha256(_encode((_TAG, *astuple(request)[:covered]))).digest()


def digest_version(fact: OrderSubmitted) -> int:
    """The lowest version that covers all fields that the request sets."""
    if fact.exact_amount_out is not None:
        return 3
    return max(order_type(fact.order_type).digest_version, 2 if fact.time_in_force else 1)


def names_of(keys: Keys, account: str, order_id: str, fact: OrderSubmitted) -> Idempotency | None:
    """The names that the append registers; None for an order without names."""
    names = keys.names(account, fact.client_order_id, fact.idempotency_key)
    return Idempotency(names, order_id.encode() + digest_of(fact)) if names else None


def claim_of(value: bytes) -> Claim:
    """Parses the value of an idempotency key."""
    return Claim(value[:ID_LENGTH].decode(errors="replace"), value[ID_LENGTH:])
