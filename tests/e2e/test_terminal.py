"""`engine watch` in a terminal: a table that lives, lines where there is none."""

from __future__ import annotations

import os

import pytest

from engine.settings_loader import environment
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import Engine
from tests.support.processes.terminal import terminal


@pytest.fixture
def env(engine: Engine) -> dict[str, str]:
    return {**os.environ, **environment(engine.settings)}


async def test_orders_are_rows_with_their_progress(engine: Engine, env: dict[str, str]) -> None:
    def rows(text: str, status: str = "") -> int:
        lines = [line for line in text.splitlines() if status in line]
        return sum(any(order_id in line for line in lines) for order_id in ids)

    # Neither what others did before nor what becomes of it takes the place of these orders.
    ids = await engine.submit_many(1)
    await engine.ended(ids)
    after = str(engine.frames[-1]["position"])
    async with terminal([*ENGINE, "watch", "--after", after], env, rows=200) as seen:
        await seen.until("events")
        ids = await engine.submit_many(5)
        await seen.until(lambda text: rows(text) == len(ids))
        await engine.ended(ids)
        await seen.until(lambda text: rows(text, "confirmed") == len(ids))
        assert any(
            cell.fg == "green" for row in seen.screen.buffer.values() for cell in row.values()
        )
        assert await seen.interrupt() == 130


async def test_output_as_lines_and_without_colour_can_be_chosen(
    engine: Engine, env: dict[str, str]
) -> None:
    plain = {**env, "NO_COLOR": "1"}
    after = str(len(engine.frames))  # not the thousands of events before: the screen is slow
    async with terminal(
        [*ENGINE, "watch", "--lines", "--after", after], plain, columns=200, rows=200
    ) as seen:
        order_id = await engine.submit(key=os.urandom(4).hex())
        await engine.ended([order_id])
        await seen.until(f"{order_id}  confirmed  OrderConfirmed")
        colours = {cell.fg for row in seen.screen.buffer.values() for cell in row.values()}
        assert colours <= {"default"}
