"""Work beside a block ends with the block, also where a cancellation is lost."""

from __future__ import annotations

import asyncio

import pytest

from engine.terminal import background
from engine.terminal.background import in_background


async def test_work_that_loses_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "CANCELLED_AGAIN_S", 0.01)
    lost: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if len(lost) == 2:
                    raise
                lost.append("as aiohttp does")

    async with in_background(stubborn()):
        await asyncio.sleep(0)
    assert len(lost) == 2
