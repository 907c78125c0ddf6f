"""Postgres: whether what it acknowledges stays, and whether its tables are there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import asyncpg

from engine.doctor.findings import Finding, Own, failed, ok, reach_mend, skew, skipped, warning
from events.secret import SecretUrl

LEAST = 160_000
CONNECT_S = 3.0
CONNECTIONS = 30
"""What the processes of one engine may have open together."""

_FACTS = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS number,
           current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('max_connections')::int AS connections,
           pg_is_in_recovery() AS replica,
           has_schema_privilege(current_schema(), 'CREATE') AS may_create,
           to_regclass('checkpoints') IS NOT NULL AS migrated,
           to_regclass('orders') IS NULL OR to_regclass('events') IS NULL AS incomplete,
           extract(epoch FROM clock_timestamp())::float8 AS clock
"""
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


async def look(url: SecretUrl, *, own: Own | None = None) -> AsyncIterator[Finding]:
    """All of it. One that cannot be reached is the only finding then."""
    try:
        connection = await asyncpg.connect(
            url.reveal(), timeout=CONNECT_S, command_timeout=CONNECT_S
        )
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error) or type(error).__name__
        yield failed("Postgres", why, reach_mend(error, "DATABASE_URL", own))
        return
    try:
        before = time.time()
        row = await connection.fetchrow(_FACTS)
        ours = (before + time.time()) / 2
        halted = None
        if row["migrated"]:
            halted = await connection.fetchval(
                "SELECT halted FROM checkpoints WHERE halted IS NOT NULL LIMIT 1"
            )
    except (OSError, asyncpg.PostgresError) as error:
        why = str(error) or type(error).__name__
        yield failed(
            "Postgres", why, "correct DATABASE_URL or its grants; or another session holds a lock"
        )
        return
    finally:
        connection.terminate()
    for finding in _judge(row, halted):
        yield finding
    yield skew("Postgres' clock", ours, row["clock"])


def _judge(row: asyncpg.Record, halted: str | None) -> list[Finding]:
    findings = [
        ok("Postgres", row["version"])
        if row["number"] >= LEAST
        else failed("Postgres", row["version"], "update it to 16 or newer")
    ]
    if row["replica"]:
        findings.append(failed("Postgres' role", "replica", "name the primary in DATABASE_URL"))
    for name in DURABLE:
        if row[name] == "off":
            mend = f"ALTER SYSTEM SET {name} = on, then reload it"
            findings.append(failed(name, "off: what was archived may be lost", mend))
        else:
            findings.append(ok(name, row[name]))
    if row["connections"] < CONNECTIONS:
        mend = f"set max_connections to {CONNECTIONS} or more"
        findings.append(warning("max_connections", str(row["connections"]), mend))
    if halted:
        findings.append(failed("projector", f"it stopped: {halted}", "see `records`"))
    elif row["migrated"] and row["incomplete"]:
        findings.append(failed("tables", "`orders` or `events` is missing", "see `records`"))
    elif row["migrated"]:
        findings.append(ok("tables", "there"))
    elif row["may_create"]:
        findings.append(skipped("tables", "the projector makes them when it first runs"))
    else:
        mend = "GRANT CREATE ON SCHEMA public TO the user of DATABASE_URL"
        findings.append(failed("tables", "not there, and this user may not make them", mend))
    return findings
