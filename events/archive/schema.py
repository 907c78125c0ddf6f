"""The columns that the migrations create, and which of them a database lacks."""

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
"""Table -> column -> type, without columns of later migrations, which a database may lack."""

LABELS = frozenset({"order_id", "version", "type"})
"""Columns that repeat values of the event bodies."""
NEUTRAL = {
    "order_id": "'00000000-0000-0000-0000-000000000000'::uuid",
    "version": "0",
    "type": "''::text",
    "hash": "''::bytea",
    "body": "''::bytea",
}
"""The placeholder of a lost column of `events` until it is restored from the bodies or the log.
Position and time cannot be restored."""

QUERY = (
    "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attnum > 0 AND NOT attisdropped"
    " AND attrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)"
)
"""Table, name and type of each column."""


def damaged(actual_columns: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Table -> columns that it lacks or has with another type, given (table, name, type) of each
    existing column. Missing tables are not included.
    """
    existing: dict[str, dict[str, str]] = {}
    for table, name, kind in actual_columns:
        existing.setdefault(table, {})[name] = kind
    lacking = {
        table: [
            _named(table, name, kind, columns.get(name))
            for name, kind in COLUMNS[table].items()
            if columns.get(name) != kind
        ]
        for table, columns in existing.items()
    }
    return {table: names for table, names in lacking.items() if names}


def _named(table: str, name: str, kind: str, actual: str | None) -> str:
    if table != "events" or actual is None or name in LABELS:
        return name
    return f"{name} (it is {actual}, not {kind})"  # the column is kept


def select(columns: Iterable[str], lacking: Collection[str]) -> str:
    """SELECT of columns of `events`, with placeholders for lost ones."""
    terms = (
        f"{NEUTRAL[column]} AS {column}" if column in lacking else column for column in columns
    )
    return f"SELECT {', '.join(terms)} FROM events "  # noqa: S608 - names of known columns


def additions(lacking: Iterable[str]) -> list[str]:
    """Statements that recreate lost columns of `events`."""
    statements = []
    for column in lacking:
        if column in LABELS:  # it may have another type
            statements.append(f"ALTER TABLE events DROP COLUMN IF EXISTS {column}")
        kind = COLUMNS["events"][column]
        statements.append(
            f"ALTER TABLE events ADD COLUMN IF NOT EXISTS {column} {kind} NOT NULL"
            f" DEFAULT {NEUTRAL[column]}"
        )
        statements.append(f"ALTER TABLE events ALTER COLUMN {column} DROP DEFAULT")
    return statements
