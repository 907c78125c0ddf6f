"""The indexes and keys that the migrations create, for fast lists and unique rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

EXPECTED = {
    "migrations_pkey": ("migrations", "UNIQUE", "(name)"),
    "events_pkey": ("events", "UNIQUE", '("position")'),
    "orders_pkey": ("orders", "UNIQUE", "(id)"),
    "orders_status_id_idx": ("orders", "", "(status, id) WHERE (status <> 'confirmed'::text)"),
    "orders_client_order_id_idx": (
        "orders",
        "",
        "(client_order_id) WHERE (client_order_id IS NOT NULL)",
    ),
    "checkpoints_pkey": ("checkpoints", "UNIQUE", "(name)"),
    "projection_parked_pkey": ("projection_parked", "UNIQUE", "(order_id)"),
}
"""Index name -> table, UNIQUE or empty, indexed columns."""


def index_faults(
    there: Iterable[tuple[str, str, bool]], tables: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Missing indexes as (table, name, detail), given (table, definition, valid) of each index.

    An index with another name is accepted.
    """
    existing = [
        (table, "UNIQUE" if definition.startswith("CREATE UNIQUE") else "",
         definition.partition(" USING btree ")[2])
        for table, definition, valid in there
        if valid
    ]  # fmt: skip
    for name, (table, unique, on) in EXPECTED.items():
        if table in tables and not any(
            (t, o) == (table, on) and (u or not unique) for t, u, o in existing
        ):
            yield table, name, f"the index on {table} {on} is missing or not valid"
