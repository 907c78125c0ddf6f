"""Lists orders: filters, pages and cursors.

A page is a key range. Ids are UUIDv7, so that newest first is id descending, oldest first is id
ascending, and a time is an id. A cursor is the last listed id and stays valid when orders are
added. It never contains an order that was examined and not listed, which may be another account's:
it is a time then. Filters without an index (token, account, type, parked, in doubt) are applied to
windows of ids until the page is full or half a second has passed.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from events.ids import KEYS_ID, created_ms, first_id_at
from events.order.state import decode
from events.types import Status

SEARCH_S = 0.5
_WINDOW_ROWS = 4000
_DECODED_ROWS = 500
MS_MAX = 2**48 - 1
"""The last time that an id can have, in ms since the epoch."""


class BadCursor(ValueError):
    """The text is not a cursor of this API."""


class Filters(NamedTuple):
    """The filters of a list; None matches every order."""

    statuses: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    token: str | None = None
    """Either side of the swap."""
    client_order_id: str | None = None
    account: str | None = None
    from_ms: int | None = None
    """Created at or after, ms since the epoch."""
    to_ms: int | None = None
    """Created before."""
    parked: bool | None = None
    in_doubt: bool | None = None
    oldest_first: bool = False
    """The order of the list."""

    @property
    def sparse(self) -> bool:
        """Whether a filter without an index may leave few orders of many."""
        without = (self.token, self.account, self.types, self.parked, self.in_doubt)
        return any(value is not None for value in without)


def encode_cursor(order_id: str) -> str:
    """The cursor after this order."""
    return base64.urlsafe_b64encode(UUID(order_id).bytes).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> str:
    """Inverse of `encode_cursor`. Raises BadCursor."""
    try:
        return str(UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True)))
    except ValueError:
        raise BadCursor(f"{cursor[:40]!r} is not a cursor") from None


async def find(
    fetch: Callable[..., Awaitable[list[Any]]], filters: Filters, limit: int, after: str | None
) -> tuple[list[bytes], str | None]:
    """The encoded orders of a page that begins behind an id, and the cursor of the next one."""
    way = _OLDEST if filters.oldest_first else _NEWEST
    after = after or way.start
    deadline, began_at = time.monotonic() + SEARCH_S, after
    query, values = _query(filters, way)
    hits: list[Any] = []
    while True:
        hits_max = limit + 1 - len(hits)  # one more tells whether there is a next page
        window = _WINDOW_ROWS if filters.sparse else hits_max
        if filters.in_doubt is not None:  # the state alone has it: the rows of a window are decoded
            window = hits_max = _DECODED_ROWS
        rows = await fetch(query, after, window, hits_max, *values)
        hits += [row for row in rows if row["id"] is not None and _doubt_fits(row, filters)]
        if len(hits) > limit:
            return [row["state"] for row in hits[:limit]], encode_cursor(str(hits[limit - 1]["id"]))
        scanned, last = rows[0]["scanned"], rows[0]["last"]
        if scanned < window:
            return [row["state"] for row in hits], None
        after = str(last)
        listed = str(hits[-1]["id"]) if hits else way.start
        following = way.further(listed, way.edge(after))
        moved = following != began_at and following == way.further(following, began_at)
        if moved and time.monotonic() > deadline:
            return [row["state"] for row in hits], encode_cursor(following)


def _doubt_fits(row: Any, filters: Filters) -> bool:
    """Whether an order is in doubt as the filter wants it; one that cannot be read is not."""
    if filters.in_doubt is None:
        return True
    try:
        in_doubt = decode(row["state"]).in_doubt
    except msgspec.DecodeError:
        in_doubt = False
    return in_doubt is filters.in_doubt


def _later_than(order_id: str) -> str:
    """The lowest id of the next millisecond: orders of this one are examined again."""
    return first_id_at(min(created_ms(order_id) + 1, MS_MAX))


class _Way(NamedTuple):
    """The direction in which a list is read."""

    start: str
    """The id that all pages are behind."""
    compares: str
    sorts: str
    further: Callable[[str, str], str]
    """The id that is listed later."""
    edge: Callable[[str], str]
    """An id of no order, from which all orders of the same millisecond are examined again."""


def _earlier_than(order_id: str) -> str:
    """The lowest id of the same millisecond, which no order has."""
    return first_id_at(created_ms(order_id))


_NEWEST = _Way(KEYS_ID, "<", "DESC", min, _later_than)
_OLDEST = _Way(first_id_at(0), ">", "ASC", max, _earlier_than)

_WINDOW = """
WITH page AS MATERIALIZED (
    SELECT id, token_in, token_out, account, type, parked, state FROM orders
    WHERE id {compares} $1::uuid AND {keyed} ORDER BY id {sorts} LIMIT $2
)
SELECT hit.id, hit.state, span.scanned, span.last
FROM (SELECT count(*) AS scanned, (array_agg(id))[count(*)] AS last FROM page) AS span
LEFT JOIN LATERAL (
    SELECT id, state FROM page WHERE {filtered} ORDER BY id {sorts} LIMIT $3
) AS hit ON true
"""


def _query(filters: Filters, way: _Way) -> tuple[str, list[Any]]:
    """The SQL of a window and its values from $4 on. No text of a client is in the SQL."""
    values: list[Any] = []

    def place(value: Any) -> str:
        values.append(value)
        return f"${3 + len(values)}"

    keyed, filtered = ["true"], ["true"]
    if filters.statuses is not None:
        # Literals: the planner takes a partial index only if it sees the values.
        known = ", ".join(f"'{Status(status).value}'" for status in filters.statuses)
        keyed.append(f"status IN ({known})")
    if filters.client_order_id is not None:
        keyed.append(f"client_order_id = {place(filters.client_order_id)}")
    if filters.from_ms is not None:
        keyed.append(f"id >= {place(first_id_at(filters.from_ms))}::uuid")
    if filters.to_ms is not None:
        keyed.append(f"id < {place(first_id_at(filters.to_ms))}::uuid")
    if filters.types is not None:
        filtered.append(f"type = ANY({place(list(filters.types))}::text[])")
    if filters.parked is not None:
        filtered.append(f"parked IS {'NOT NULL' if filters.parked else 'NULL'}")
    if filters.account is not None:
        filtered.append(f"account = {place(filters.account)}")
    if filters.token is not None:
        token = place(filters.token)
        filtered.append(f"(token_in = {token} OR token_out = {token})")
    if filters.oldest_first:
        keyed.append(f"id < '{KEYS_ID}'::uuid")  # as newest first begins: see SYSTEM_STREAM_IDS
    query = _WINDOW.format(
        compares=way.compares,
        sorts=way.sorts,
        keyed=" AND ".join(keyed),
        filtered=" AND ".join(filtered),
    )
    return query, values
