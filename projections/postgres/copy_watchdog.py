"""Notices that a connection died in the middle of a COPY, which asyncpg 0.32 does not.

A COPY waits until the socket takes more. Once the socket is gone nothing wakes it, and no timeout
applies: a Postgres killed at that moment would block its projector permanently.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg


@contextlib.asynccontextmanager
async def aborting_on_disconnect(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Cancels the body when the connection dies. Raises ConnectionResetError."""
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    inside, lost = True, False

    def cancel(_: object) -> None:
        nonlocal lost
        if inside:
            lost = True
            task.cancel()

    connection.add_termination_listener(cancel)
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
        connection.remove_termination_listener(cancel)
