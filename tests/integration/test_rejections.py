"""A server that will never serve this client ends the process with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest
import redis.asyncio

from engine.composition import log as composition
from engine.composition.log import open_log
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.settings_loader import load
from events.ids import new_order_id
from events.log import (
    AppendStatus,
    EventLog,
    Full,
    LogError,
    OutcomeUnknown,
    RedisConnection,
    Rejected,
    Unavailable,
)
from events.telemetry.outages import LOG
from events.types import OrderSubmitted
from tests.support.log.log_server import LogServer
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, until

HOSTS = ("büro-pc", "my pc", "Bob's PC", "tab\tname", "a%b{c}$d", "x" * 300, "", "caf\udce9")


@pytest.mark.parametrize("name", HOSTS)
async def test_a_client_of_any_name_is_served(redis_url: str, name: str) -> None:
    connection = RedisConnection(redis_url, name)
    try:
        assert await connection.call("PING") == b"PONG"
        got = (await connection.call("CLIENT", "GETNAME")).decode()
        assert got
        assert got.isascii()
    finally:
        await connection.close()


@pytest.fixture
async def admin(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(redis_url) as client:
        yield client
        for user in ("mute", "limited"):
            await client.execute_command("ACL", "DELUSER", user)  # type: ignore[no-untyped-call]
        await client.execute_command("ACL", "LOG", "RESET")  # type: ignore[no-untyped-call]


def as_user(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


async def refusal(settings: Settings) -> str:
    """What ends a process with these settings."""
    log = EventLog(settings.redis_url, build="test")
    try:
        with pytest.raises(SettingsError) as error:
            async with asyncio.timeout(HANG_S):
                await open_log(settings, log, asyncio.Event())
    finally:
        await log.close()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("login", "rules", "why"),
    [
        ("unknown:wrong", (), "invalid username-password pair"),
        ("mute:pw", ("on", ">pw", "~*", "-@all"), "no permissions"),
        ("limited:pw", ("on", ">pw", "~*", "+@all", "-fcall", "-function"), "permissions"),
    ],
)
async def test_a_login_that_redis_refuses_ends_the_process(
    redis_url: str, admin: redis.asyncio.Redis, login: str, rules: tuple[str, ...], why: str
) -> None:
    if rules:
        user = login.partition(":")[0]
        await admin.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]
    settings = load({"REDIS_URL": as_user(redis_url, login)}, None)
    reason = await refusal(settings)
    assert reason.startswith("REDIS_URL: ")
    assert why in reason


async def test_a_database_that_redis_does_not_have_ends_the_process(redis_url: str) -> None:
    assert "out of range" in await refusal(load({"REDIS_URL": f"{redis_url}?db=99999"}, None))


async def test_a_server_that_is_away_is_an_outage_and_no_rejection(redis_url: str) -> None:
    async with proxied(redis_url) as proxy:
        proxy.cut("refuse")
        connection = RedisConnection(proxy.url)
        with pytest.raises(Unavailable) as error:
            await connection.call("PING")
        assert not isinstance(error.value, Rejected)
        proxy.cut("pass")
        assert await connection.call("PING") == b"PONG"
        await connection.close()


async def test_a_login_that_is_taken_from_a_running_process_heals(
    redis_url: str, admin: redis.asyncio.Redis
) -> None:
    await admin.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all")  # type: ignore[no-untyped-call]
    connection = RedisConnection(as_user(redis_url, "mute:pw"))
    assert await connection.call("PING") == b"PONG"
    await admin.execute_command("ACL", "SETUSER", "mute", "-@all")  # type: ignore[no-untyped-call]
    with pytest.raises(Rejected, match="NOPERM"):
        await connection.call("PING")
    await admin.execute_command("ACL", "SETUSER", "mute", "+@all")  # type: ignore[no-untyped-call]
    assert await connection.call("PING") == b"PONG"
    await connection.close()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("/nowhere?host={host}", 'database "nowhere" does not exist'),
        ("/postgres?host={host}&options=endpoint%3Dx", "endpoint"),
        (
            "/postgres?host={host}&search_path=x&my.guc=1&statement_timeout=often",
            "statement_timeout",
        ),
    ],
)
async def test_a_new_engine_whose_postgres_refuses_the_connection_ends_with_the_reason(
    redis_url: str, database_url: str, query: str, why: str
) -> None:
    host = parse_qs(urlsplit(database_url).query)["host"][0]
    url = "postgresql://postgres@" + query.format(host=host)
    reason = await refusal(load({"REDIS_URL": redis_url, "DATABASE_URL": url}, None))
    assert reason.startswith("DATABASE_URL: Postgres: ")
    assert why in reason


async def test_a_log_that_is_there_opens_whatever_postgres_refuses(redis_url: str) -> None:
    first = EventLog(redis_url, build="test")
    await first.open()
    await first.close()
    nowhere = "postgresql://unknown:wrong@127.0.0.1:1/none"
    settings = load({"REDIS_URL": redis_url, "DATABASE_URL": nowhere}, None)
    log = EventLog(settings.redis_url, build="test")
    assert await open_log(settings, log, asyncio.Event())
    await log.close()


async def test_a_new_build_waits_for_memory_where_the_server_is_full(
    redis_url: str, admin: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EventLog(redis_url, build="test")
    await first.open()
    await LogServer(first).call("FUNCTION", "FLUSH")  # a new build's functions are not there either
    await first.close()
    failures: list[Exception] = []
    monkeypatch.setattr(composition, "QUIET_S", 0.0)
    monkeypatch.setattr(LOG, "failed", failures.append)
    log = EventLog(redis_url, build="test")
    await admin.config_set("maxmemory", 1)
    try:
        opening = asyncio.create_task(
            open_log(load({"REDIS_URL": redis_url}, None), log, asyncio.Event())
        )
        await until(lambda: failures or opening.done(), "the server refuses")
        assert isinstance(failures[0], Full)
        assert not opening.done(), opening
    finally:
        await admin.config_set("maxmemory", 0)
    async with asyncio.timeout(HANG_S):
        assert await opening
    await log.close()


@pytest.mark.parametrize("reply", ["ERR upstream failure", "no upstream host", "ERR max number"])
async def test_a_reply_after_connecting_that_may_pass_is_waited_for(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    first = EventLog(redis_url, build="test")
    await first.open()
    await first.close()
    failures: list[Exception] = []
    monkeypatch.setattr(composition, "QUIET_S", 0.0)
    monkeypatch.setattr(LOG, "failed", failures.append)
    async with proxied(redis_url) as proxy:
        proxy.refusal = f"-{reply}\r\n".encode()
        settings = load({"REDIS_URL": proxy.url}, None)
        log = EventLog(settings.redis_url, build="test")
        opening = asyncio.create_task(open_log(settings, log, asyncio.Event()))
        await until(lambda: len(failures) > 1 or opening.done(), "the proxy refuses")
        assert not opening.done(), opening
        assert str(failures[0]) == reply
        proxy.refusal = b""
        async with asyncio.timeout(HANG_S):
            assert await opening
        await log.close()


@pytest.mark.parametrize(
    "reply", ["ERR unknown command 'FCALL'", "MOVED 3999 127.0.0.1:6381", "WRONGTYPE Operation"]
)
async def test_a_reply_after_connecting_that_no_retry_changes_ends_the_process(
    redis_url: str, reply: str
) -> None:
    async with proxied(redis_url) as proxy:
        proxy.refusal = f"-{reply}\r\n".encode()
        assert await refusal(load({"REDIS_URL": proxy.url}, None)) == f"REDIS_URL: {reply}"


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        ("upstream failure", OutcomeUnknown),
        ("ERR Connection refused", OutcomeUnknown),
        ("ERR what this proxy calls it", OutcomeUnknown),
        ("no upstream host", Unavailable),
        ("ERR max number of clients reached", Unavailable),
        ("ERR unknown command 'FCALL'", Unavailable),
    ],
)
async def test_an_append_that_a_proxy_answers_is_never_guessed(
    redis_url: str, reply: str, raised: type[LogError]
) -> None:
    async with proxied(redis_url) as proxy:
        log = EventLog(proxy.url, build="test")
        await log.open()
        proxy.refusal = f"-{reply}\r\n".encode()
        fact = OrderSubmitted("market", "SOL", "USDC", 9, 6, 10**9, 50)
        request, _ = log.build_creation(new_order_id(), "main", fact)
        with pytest.raises(raised, match=reply):
            await log.append([request], timeout_s=0.5)
        waiting = asyncio.ensure_future(log.append([request]))  # as a stage does
        proxy.refusal = b""
        async with asyncio.timeout(HANG_S):
            [answer] = await waiting
        assert answer.status is AppendStatus.CREATED
        await log.close()
