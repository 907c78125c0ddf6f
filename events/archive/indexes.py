"""The indexes and keys that the migrations make: without one, lists crawl and rows come twice."""

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
"""Name -> table, whether it keeps rows apart, what it is on."""


def index_faults(
    there: Iterable[tuple[str, str, bool]], tables: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong, given (table, definition, valid) of each index: (table, name, detail).

    An index under another name does as well.
    """
    faults = [
        (table, "UNIQUE" if definition.startswith("CREATE UNIQUE") else "",
         definition.partition(" USING btree ")[2])
        for table, definition, valid in there
        if valid
    ]  # fmt: skip
    for name, (table, unique, on) in EXPECTED.items():
        if table in tables and not any(
            (t, o) == (table, on) and (u or not unique) for t, u, o in faults
        ):
            yield table, name, f"the index on {table} {on} is missing or not valid"
