"""Work beside a block of a command, such as drawing while events arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

CANCELLED_AGAIN_S = 1.0


@contextlib.asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` for the length of the block; then cancels it and waits for its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        # More than once: aiohttp loses a cancellation where closing a socket raises another error.
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCELLED_AGAIN_S)
