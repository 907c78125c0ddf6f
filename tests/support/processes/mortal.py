"""Death at a chosen point: a call of a worker in this process is held there, before or behind what
it does, and never returns. What the others of that process do meanwhile they do, as in a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tests.support.waits import HANG_S

Fate = Literal["before", "after"]


class Point(NamedTuple):
    """Where a worker dies: at a call, before it does anything or before its answer is used."""

    call: str
    fate: Fate
    number: int = 1
    """The number of the call since the trap was set, from 1."""

    def __str__(self) -> str:
        return f"{self.fate}-{self.call}-{self.number}"


class Trap:
    """Holds one call of some objects, once it is set."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        """Releases the call: the held caller was only slow."""
        self._set = False
        self._calls = 0

    def at(
        self,
        owner: Any,
        name: str,
        call: str = "",
        *,
        asks: Callable[[Any], object] = lambda _: True,
        tells: Callable[[Any], object] = lambda _: True,
    ) -> None:
        """The calls of this method count whose first argument `asks`, and, behind them, whose
        answer `tells` something. `call` is what the point names it.
        """
        method = getattr(owner, name)
        call = call or name

        async def held(*args: Any, **options: Any) -> Any:
            counts = asks(args[0] if args else None)
            if self.point.fate == "before" and counts and self._is_it(call):
                await self._hold()
            answer = await method(*args, **options)
            if self.point.fate == "after" and counts and tells(answer) and self._is_it(call):
                await self._hold()
            return answer

        setattr(owner, name, held)

    def set(self) -> None:
        """From now on calls count."""
        self._set = True

    async def sprung(self) -> None:
        """Waits until a caller is held."""
        async with asyncio.timeout(HANG_S):
            await self.reached.wait()

    def _is_it(self, call: str) -> bool:
        if not self._set or call != self.point.call:
            return False
        self._calls += 1
        return self._calls == self.point.number

    async def _hold(self) -> None:
        self.reached.set()
        await self.go.wait()
