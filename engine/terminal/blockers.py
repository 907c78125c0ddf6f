"""Tells a person who watches an order what holds orders up: a halt, or a part that stands still."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from engine.client import Client, RefusedError, UnreachableError
from engine.terminal.background import in_background

LOOK_S = 2.0


def obstacles(ready: dict[str, Any]) -> list[str]:
    """What /readyz knows of; one line each."""
    lines = [f"{part}: {reason}" for part, reason in (ready.get("reasons") or {}).items()]
    if halt := ready.get("halted"):
        why = f": {halt['reason']}" if halt.get("reason") else ""
        by = f" since {halt['since']} by {halt['actor']}{why}"
        lines.insert(0, f"halted{by}; nothing is sent until `engine resume`")
    return lines


@contextlib.asynccontextmanager
async def told(client: Client) -> AsyncIterator[None]:
    """For the length of the block, prints on stderr what holds orders up, whenever it changes."""
    before = await _tell(client, [])
    async with in_background(_keep_telling(client, before)):
        yield


async def _keep_telling(client: Client, before: list[str]) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        before = await _tell(client, before)


async def _tell(client: Client, before: list[str]) -> list[str]:
    try:
        now = obstacles(msgspec.to_builtins(await client.ready()))
    except (RefusedError, UnreachableError):  # the caller's next request reports it
        return before
    for line in now:
        if line not in before:
            print(f"engine: {line}", file=sys.stderr, flush=True)
    if before and not now:
        print("engine: nothing holds orders up any more", file=sys.stderr, flush=True)
    return now
