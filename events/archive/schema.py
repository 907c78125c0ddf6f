"""The columns that our migrations make, and which of them a database lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable

COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "position": "bigint", "time_us": "bigint", "order_id": "uuid", "version": "integer",
        "type": "text", "hash": "bytea", "body": "bytea",
    },
    "orders": {
        "id": "uuid", "created_us": "bigint", "updated_us": "bigint", "version": "integer",
        "attempts": "integer", "account": "text", "client_order_id": "text", "status": "text",
        "type": "text", "token_in": "text", "token_out": "text", "amount_in": "numeric(20,0)",
        "amount_out": "numeric(20,0)", "price": "text", "executed_price": "text", "dex": "text",
        "signature": "text", "parked": "text", "reason": "text", "hash": "bytea",
        "positions": "bigint[]", "state": "bytea",
    },
    "checkpoints": {
        "name": "text", "epoch": "bigint", "position": "bigint", "digest": "bytea",
        "time_us": "bigint", "generation": "bigint", "halted": "text",
    },
    "projection_parked": {"order_id": "uuid", "reason": "text", "positions": "bigint[]"},
    "migrations": {"name": "text", "sha256": "text", "applied_at": "timestamp with time zone"},
}  # fmt: skip
"""Table -> column -> type. What a later migration added may be younger than the database."""

LABELS = frozenset({"order_id", "version", "type"})
"""What the bodies of events say once more."""
NEUTRAL = {
    "order_id": "'00000000-0000-0000-0000-000000000000'::uuid",
    "version": "0",
    "type": "''::text",
    "hash": "''::bytea",
    "body": "''::bytea",
}
"""What stands for a lost column of `events` until it is written again from the bodies or the log.
Position and time are told by nothing else."""

QUERY = (
    "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attnum > 0 AND NOT attisdropped"
    " AND attrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)"
)
"""Table, name and type of each column."""


def damaged(value: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Table -> columns that it lacks or has with another type; tables that are not there are left
    out.
    """
    there: dict[str, dict[str, str]] = {}
    for table, name, kind in value:
        there.setdefault(table, {})[name] = kind
    lacking = {
        table: [
            _named(table, name, kind, columns.get(name))
            for name, kind in COLUMNS[table].items()
            if columns.get(name) != kind
        ]
        for table, columns in there.items()
    }
    return {table: names for table, names in lacking.items() if names}


def _named(table: str, name: str, kind: str, value: str | None) -> str:
    if table != "events" or value is None or name in LABELS:
        return name
    return f"{name} (it is {value}, not {kind})"  # which is not thrown away


def select(columns: Iterable[str], lacking: Collection[str]) -> str:
    """The part of a query that names columns of `events`; those that are lost are neutral."""
    result = (
        f"{NEUTRAL[column]} AS {column}" if column in lacking else column for column in columns
    )
    return f"SELECT {', '.join(result)} FROM events "  # noqa: S608 - names of our columns


def additions(lacking: Iterable[str]) -> list[str]:
    """Statements that make lost columns of `events` again."""
    created = []
    for item in lacking:
        if item in LABELS:  # it may have another type
            created.append(f"ALTER TABLE events DROP COLUMN IF EXISTS {item}")
        kind = COLUMNS["events"][item]
        created.append(
            f"ALTER TABLE events ADD COLUMN IF NOT EXISTS {item} {kind} NOT NULL"
            f" DEFAULT {NEUTRAL[item]}"
        )
        created.append(f"ALTER TABLE events ALTER COLUMN {item} DROP DEFAULT")
    return created
