"""Ends connections to a server that answers no client any more, whatever they wait for.

A statement such as CREATE INDEX may take as long as it needs, so that no bound of its own tells one
that works from one that hangs. A server that answers others is taken to work.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg

from events.secret import SecretUrl

PROBE_S = 10.0
"""Time between two questions."""


@contextlib.asynccontextmanager
async def ending_on_silence(
    url: SecretUrl, connections: Sequence[asyncpg.Connection], *, silent_s: float
) -> AsyncIterator[None]:
    """Asks the server during the body, and ends the connections where no answer comes.

    Raises TimeoutError then.
    """
    silent = False

    async def probe() -> None:
        nonlocal silent
        while True:
            await asyncio.sleep(min(PROBE_S, silent_s))
            try:
                async with asyncio.timeout(silent_s):
                    await _ask(url)
            except TimeoutError:
                silent = True
                for connection in connections:
                    connection.terminate()
                return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # a refusal is an answer; the connections notice a server that is gone

    probing = asyncio.create_task(probe())
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if silent:
            raise TimeoutError(f"no answer within {silent_s:.0f} s") from error
        raise
    finally:
        probing.cancel()
        await asyncio.wait({probing})


async def _ask(url: SecretUrl) -> None:
    connection = await asyncpg.connect(url.reveal())
    try:
        await connection.fetchval("SELECT 1")
    finally:
        connection.terminate()
