"""Copies what a table has besides columns and rows to the table that replaces it.

`CREATE TABLE … LIKE` copies neither storage options nor owner nor grants. Rule of this file: a
property that cannot be copied is named, so that it is not lost silently.
"""

from __future__ import annotations

import asyncpg

# The TOAST table's options are the table's own, under another name.
_OPTIONS = """
SELECT prefix || split_part(option, '=', 1) AS name,
       quote_literal(substr(option, strpos(option, '=') + 1)) AS value
FROM (
    SELECT '' AS prefix, unnest(reloptions) AS option FROM pg_class WHERE oid = $1::regclass
    UNION ALL
    SELECT 'toast.', unnest(toast.reloptions) FROM pg_class AS main
    JOIN pg_class AS toast ON toast.oid = main.reltoastrelid WHERE main.oid = $1::regclass
) AS options
"""

# Grants on the table and, with the column's name, on columns. No ACL is the owner's default one.
_GRANTS = """
SELECT privilege_type AS privilege, is_grantable AS grantable, quote_ident(attname) AS column,
       CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
FROM (
    SELECT NULL::name AS attname, (aclexplode(coalesce(relacl, acldefault('r', relowner)))).*
    FROM pg_class WHERE oid = $1::regclass
    UNION ALL
    SELECT attname, (aclexplode(attacl)).* FROM pg_attribute
    WHERE attrelid = $1::regclass AND NOT attisdropped
) AS granted
"""

_OWNER = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = $1::regclass"

_COMMENT = "SELECT quote_literal(obj_description($1::regclass, 'pg_class'))"

_BEYOND = """
SELECT 'a trigger' WHERE EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal)
UNION ALL SELECT 'row level security' WHERE EXISTS (
    SELECT FROM pg_class WHERE oid = $1::regclass AND relrowsecurity)
UNION ALL SELECT 'a policy' WHERE EXISTS (SELECT FROM pg_policy WHERE polrelid = $1::regclass)
UNION ALL SELECT 'a rule' WHERE EXISTS (SELECT FROM pg_rewrite WHERE ev_class = $1::regclass)
UNION ALL SELECT 'a publication' WHERE EXISTS (
    SELECT FROM pg_publication_rel WHERE prrelid = $1::regclass)
"""


async def uncopyable_properties(connection: asyncpg.Connection, table: str) -> list[str]:
    """The properties of the table that a copy would lack."""
    return [row[0] for row in await connection.fetch(_BEYOND, table)]


async def copy_options(connection: asyncpg.Connection, old: str, new: str) -> None:
    """Copies storage and autovacuum options."""
    for name, value in await connection.fetch(_OPTIONS, old):
        await connection.execute(f"ALTER TABLE {new} SET ({name} = {value})")


async def copy_rights(connection: asyncpg.Connection, old: str, new: str) -> None:
    """Copies owner, grants and comment. Raises an error of asyncpg where that is not permitted."""
    owner = await connection.fetchval(_OWNER, old)
    await connection.execute(f"ALTER TABLE {new} OWNER TO {owner}")
    expected, given = await connection.fetch(_GRANTS, old), await connection.fetch(_GRANTS, new)
    if sorted(map(str, expected)) != sorted(map(str, given)):
        for grantee in {row["grantee"] for row in given}:
            await connection.execute(f"REVOKE ALL ON {new} FROM {grantee}")
        for row in expected:
            on = f"({row['column']})" if row["column"] else ""
            again = " WITH GRANT OPTION" if row["grantable"] else ""
            await connection.execute(
                f"GRANT {row['privilege']} {on} ON {new} TO {row['grantee']}{again}"
            )
    comment = await connection.fetchval(_COMMENT, old)
    await connection.execute(f"COMMENT ON TABLE {new} IS {comment or 'NULL'}")
