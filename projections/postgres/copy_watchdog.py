"""Notices that a connection died in the middle of a COPY, which asyncpg 0.32 does not.

A COPY waits until the socket takes more; nothing wakes it once the socket is gone, and no timeout
counts. A Postgres killed at that moment would hold its projector up for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg


@contextlib.asynccontextmanager
async def aborting_on_disconnect(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Ends the block when the connection is lost. Raises ConnectionResetError, or asyncpg's own."""
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    inside, lost = True, False

    def tell(_: object) -> None:
        nonlocal lost
        if inside:
            lost = True
            task.cancel()

    connection.add_termination_listener(tell)
    try:
        yield
    except BaseException as error:
        if lost:
            task.uncancel()
            if isinstance(error, asyncio.CancelledError):
                raise ConnectionResetError("Postgres: the connection was lost") from error
        raise
    finally:
        inside = False
        connection.remove_termination_listener(tell)
