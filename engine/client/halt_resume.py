"""Halting and resuming the engine by way of its gateway."""

from __future__ import annotations

import json

import msgspec

from engine.client import Client


async def switch(gateway: Client, act: str, body: dict[str, str], *, as_json: bool) -> int:
    """Halts or resumes, as `act` names it, and prints the engine's state after it."""
    async with gateway as client:
        state = await (client.halt(**body) if act == "halt" else client.resume(**body))
        view = msgspec.to_builtins(state)
    if as_json:
        print(json.dumps(view))
        return 0
    since = f" since {view['since']} by {view['actor']}" if view["since"] else ""
    why = f": {view['reason']}" if view["reason"] else ""
    print(f"{view['status']}{since}{why}")
    return 0
