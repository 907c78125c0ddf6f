"""Answers of appends that went wrong: "nothing was written" is reported only where it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis.asyncio

from events.ids import new_order_id
from events.log import AppendRequest, AppendStatus, EventLog, Fenced, OutcomeUnknown, Unavailable
from events.log.redis.link import RedisConnection, Server
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, submitted
from tests.support.processes.proxied import Proxy, proxied
from tests.support.waits import until

GIVE_UP_S = 2.0
"""After so long a caller wants to know. What it is told does not depend on it."""


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with proxied(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy) -> AsyncIterator[EventLog]:
    """The same log, behind a network that loses answers."""
    opened = EventLog(proxy.url, build="far")
    await opened.open()
    await opened.append([creation(opened)])
    yield opened
    await opened.close()


def creation(log: EventLog) -> AppendRequest:
    return log.build_creation(new_order_id(), ACCOUNT, submitted())[0]


async def written(log: EventLog, position: int) -> None:
    async def reached() -> bool:
        return await log.position() >= position

    await until(reached)


async def test_an_append_refused_after_a_lost_answer_has_an_unknown_outcome(
    log: EventLog, far: EventLog, proxy: Proxy
) -> None:
    proxy.mode = "drop-answers"
    appending = far.append([creation(far)], timeout_s=30)
    await written(log, 2)
    await LogServer(log).call("HSET", log.keys.meta, "epoch", "2")
    proxy.cut("pass")
    with pytest.raises(OutcomeUnknown):
        await appending
    assert await log.position() == 2


async def test_an_append_that_waits_for_its_outcome_raises_fenced(
    log: EventLog, far: EventLog, proxy: Proxy
) -> None:
    proxy.mode = "drop-answers"
    appending = far.append([creation(far)])
    await written(log, 2)
    await LogServer(log).call("HSET", log.keys.meta, "epoch", "2")
    proxy.cut("pass")
    with pytest.raises(Fenced):
        await appending


async def test_an_append_to_a_server_gone_after_a_lost_answer_is_outcome_unknown(
    log: EventLog, far: EventLog, proxy: Proxy
) -> None:
    proxy.mode = "drop-answers"
    appending = far.append([creation(far)], timeout_s=GIVE_UP_S)
    await written(log, 2)
    proxy.cut("refuse")
    with pytest.raises(OutcomeUnknown):
        await appending


async def test_a_later_command_that_is_refused_leaves_the_earlier_one_in_doubt(
    redis_url: str,
) -> None:
    """So an append is carried out whose WAITAOF the server refuses."""
    parts = urlsplit(redis_url)
    async with redis.asyncio.from_url(redis_url) as client:
        rules = ("on", ">secret", "~*", "+@all", "-incrby")
        await client.execute_command("ACL", "SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]  # its own
        netloc = f"limited:secret@{parts.netloc.rpartition('@')[2]}"
        link = RedisConnection(urlunsplit(parts._replace(netloc=netloc)))
        with pytest.raises(OutcomeUnknown):
            await link.pipeline([("INCR", "n"), ("INCRBY", "n", "1")])
        with pytest.raises(Unavailable):
            await link.pipeline([("INCRBY", "n", "1")])
        assert await link.call("GET", "n") == b"1"
        await link.close()
        await client.execute_command("ACL", "DELUSER", "limited")  # type: ignore[no-untyped-call]  # its own


async def test_the_owner_of_the_log_is_verified_again_after_a_reconnect(
    far: EventLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server may answer at the same address: the identity of the log is checked again."""
    asked: list[Server] = []
    ask = far._writer.server

    async def server(*, timeout_s: float = 5.0) -> Server:
        asked.append(await ask(timeout_s=timeout_s))
        if len(asked) == 1:
            proxy.cut("pass")
            await asyncio.sleep(0)
            await until(lambda: far._writer._wire.lost)
        return asked[-1]

    monkeypatch.setattr(far._writer, "server", server)
    [answer] = await far.append([creation(far)])
    assert (answer.status, answer.position) == (AppendStatus.CREATED, 2)
    assert [item.connects for item in asked] == [asked[0].connects, asked[0].connects + 1]
