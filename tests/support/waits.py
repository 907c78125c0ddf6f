"""How tests wait: for a state, never for a while.

A bound only ends what hangs. It says nothing about speed: that is measured in tests/bench, and a
machine that is three times slower, or that stalls for some seconds, fails no test.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import time
from collections.abc import Callable

HANG_S = float(os.environ.get("TEST_HANG_S", "120"))
"""What takes longer than this has hung. More than any wait of the product, less than the bound of
pytest for a whole test, so that the message of the wait is the one that shows."""
LOOK_S = 0.005
MARGINS_S = (0.3, 3.0, 30.0)
"""How long something may have until a time of day, such as an order until it expires. Where the
machine stood still until then, it is tried again with more time."""


async def until(
    condition: Callable[[], object],
    what: str = "",
    *,
    ignoring: tuple[type[Exception], ...] = (),
) -> None:
    """Polls until the condition, a function or a coroutine function, returns something true.

    `ignoring`: errors of the condition that mean "not yet". Raises AssertionError after HANG_S.
    """
    try:
        async with asyncio.timeout(HANG_S) as bound:
            while True:
                with contextlib.suppress(*ignoring):
                    answer = condition()
                    if await answer if inspect.isawaitable(answer) else answer:
                        return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        if not bound.expired():
            raise
        name = what or _described(condition)
        raise AssertionError(f"still not true after {HANG_S:.0f} s: {name}") from None


def until_blocking(condition: Callable[[], object], what: str) -> None:
    """The same, where no loop runs."""
    end_s = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end_s, f"still not true after {HANG_S:.0f} s: {what}"
        time.sleep(LOOK_S)


async def until_past(time_us: int) -> None:
    """Waits until the clock of this machine shows a later time."""
    while (left_us := time_us - time.time_ns() // 1000) >= 0:
        await asyncio.sleep(left_us / 1e6 + LOOK_S)


async def holds(condition: Callable[[], object], for_s: float) -> None:
    """Asserts that a condition, a function or a coroutine function, stays true for a while.

    For what must not happen. A bug that shows later is missed; a slow machine fails no test.
    """
    end_s = time.monotonic() + for_s
    while True:
        answer = condition()
        assert await answer if inspect.isawaitable(answer) else answer, _described(condition)
        if time.monotonic() >= end_s:
            return
        await asyncio.sleep(LOOK_S)


async def pace(seconds: float) -> None:
    """The pace of what a test does: of a load, of kills, of outages. Nothing is waited for."""
    await asyncio.sleep(seconds)


def _described(condition: Callable[[], object]) -> str:
    while isinstance(condition, functools.partial):
        condition = condition.func
    code = getattr(condition, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return f"{getattr(condition, '__qualname__', condition)}{where}"
