"""The Redis user of docs/guide/deployment.md may do all that the engine does, and no more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis.asyncio

from events.commands import engine_switch
from events.log import EventLog, Unavailable
from events.recovery.log_rebuild import LogRebuild
from tests.support.log.workers import crew

DOCUMENT = Path(__file__).parents[2] / "docs" / "guide" / "deployment.md"


def as_user(url: str, user: str) -> str:
    """The same server, as another user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:secret@{host}"))


async def acl(client: redis.asyncio.Redis, *words: str) -> Any:
    """What the server answers."""
    return await client.execute_command("ACL", *words)  # type: ignore[no-untyped-call]  # its own


@pytest.fixture
async def user(redis_url: str) -> AsyncIterator[str]:
    [line] = re.findall(r"ACL SETUSER engine on >… (.*)", DOCUMENT.read_text())
    async with redis.asyncio.from_url(redis_url) as client:
        await acl(client, "SETUSER", "engine", "on", ">secret", *line.split())
        await acl(client, "LOG", "RESET")
        yield as_user(redis_url, "engine")
        refused = await acl(client, "LOG")
        await acl(client, "DELUSER", "engine", "limited")
    assert refused == []


async def test_orders_of_all_kinds_live_under_that_user(user: str, tmp_path: Path) -> None:
    async with crew(user, tmp_path) as team:
        for name in ("router", "builder", "submitter", "confirmer"):
            await team.worker(name)
        ids = await team.submit(5)
        await engine_switch.halt(team.log, "odd prices", "ann")
        await engine_switch.resume(team.log, "ann")
        assert await team.ended(ids) == ["confirmed"] * 5
        await team.log.trim(3)
        await team.log.mark("traces", 3)
        assert await team.log.bounds()
        refounding = LogRebuild(user, team.log.keys)
        await refounding.fence()
        await refounding.heads([], [])
        await refounding.close()


async def test_a_repair_without_the_permission_for_multi_fences_no_process(
    user: str, redis_url: str, tmp_path: Path
) -> None:
    async with redis.asyncio.from_url(redis_url) as client:
        rules = ("on", ">secret", "~oee:*", "+@all", "-@transaction", "-@dangerous")
        await acl(client, "SETUSER", "limited", *rules)
    async with crew(user, tmp_path) as team:
        refounding = LogRebuild(as_user(redis_url, "limited"), team.log.keys)
        with pytest.raises(Unavailable, match="NOPERM"):
            await refounding.fence()
        await refounding.close()
        again = EventLog(user, build="test")
        await again.open(create=False)  # no process was fenced off
        await again.close()
    async with redis.asyncio.from_url(redis_url) as client:
        await acl(client, "LOG", "RESET")
