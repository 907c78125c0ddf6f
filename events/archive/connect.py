"""Opens connections to Postgres, also through poolers that refuse settings of a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from events.secret import SecretUrl


async def connect(
    url: SecretUrl | str,
    *,
    wished: Mapping[str, str],
    server_settings: Mapping[str, str],
    **options: Any,
) -> asyncpg.Connection:
    """A connection with these settings of the server; those `wished` are left out where a pooler
    refuses them. PgBouncer takes few settings at connecting, and neither `jit` nor
    `synchronous_commit`.
    """
    dsn = SecretUrl.of(url).reveal()
    try:
        settings = {**server_settings, **wished}
        return await asyncpg.connect(dsn, server_settings=settings, **options)
    except asyncpg.ProtocolViolationError as error:
        if not any(name in str(error) for name in wished):
            raise
        return await asyncpg.connect(dsn, server_settings=dict(server_settings), **options)
