"""Notices that a connection died, or fell silent, in the middle of a COPY; asyncpg 0.32 does not.

A COPY waits until the socket takes more. Once the socket is gone, or its other end reads no more,
nothing wakes it, and no timeout applies: a Postgres killed, or a proxy that hangs, at that moment
would block its projector permanently.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg

WRITE_S = 60.0
"""The longest that one chunk takes: many times what a slow disk needs."""


@contextlib.asynccontextmanager
async def aborting_on_disconnect(
    connection: asyncpg.Connection, *, within_s: float | None = None
) -> AsyncIterator[None]:
    """Cancels the body when the connection dies, and ends the connection after `within_s`.

    Raises ConnectionResetError.
    """
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    inside, lost = True, False

    def cancel(_: object) -> None:
        nonlocal lost
        if inside:
            lost = True
            task.cancel()

    connection.add_termination_listener(cancel)
    timer = None
    if within_s is not None:
        timer = asyncio.get_running_loop().call_later(within_s, connection.terminate)
    try:
        yield
    except BaseException as error:
        if lost:
            task.uncancel()
            # asyncpg cannot abort a COPY without a connection: it ends in an AttributeError.
            if isinstance(error, (asyncio.CancelledError, AttributeError)):
                raise ConnectionResetError("Postgres: the connection was lost") from error
        raise
    finally:
        inside = False
        if timer is not None:
            timer.cancel()
        connection.remove_termination_listener(cancel)
