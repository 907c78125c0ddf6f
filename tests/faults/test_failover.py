"""Another server answers for the log: one that was a replica, or merely another one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import redis

from engine.embedded import binaries
from events.log import AppendStatus, EventLog, OutcomeUnknown, Unavailable
from events.log.redis.link import RedisConnection
from events.types import TransactionSubmitted
from tests.support.http.served import served
from tests.support.log.played import Play, after_submission
from tests.support.log.projected import NOT_YET, opened, projected, projecting
from tests.support.processes.engine_up import free_port
from tests.support.waits import holds, until, until_blocking


@contextlib.contextmanager
def valkey(folder: Path, *options: str) -> Iterator[redis.Redis]:
    """A server of its own, and a connection to it."""
    folder.mkdir()
    port = free_port()
    command = [str(binaries.valkey()), "--port", str(port), "--bind", "127.0.0.1",
               "--dir", str(folder), "--save", "", "--repl-diskless-sync-delay", "0",
               *options]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(port=port)
        try:
            answers(client)
            yield client
        finally:
            client.close()
            process.terminate()


def answers(client: redis.Redis) -> None:
    """Wait until the server answers: it has started, and loads no data any more."""

    def answered() -> bool:
        # BusyLoadingError, of a server that still reads its data, is a ConnectionError too.
        with contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    until_blocking(answered, f"a server answers at {url(client)}")


def in_step(primary: redis.Redis, replica: redis.Redis) -> None:
    """Wait until the replica has loaded its copy and holds all that the primary has written.

    WAIT alone does not tell: an acknowledged offset says nothing of a copy that is being loaded.
    """

    def copied() -> bool:
        with contextlib.suppress(redis.ConnectionError):
            state = replica.info("replication")
            return bool(
                state["master_link_status"] == "up"
                and not state["master_sync_in_progress"]
                and not replica.info("persistence")["loading"]
                and state["slave_repl_offset"] >= primary.info("replication")["master_repl_offset"]
            )
        return False

    until_blocking(copied, "the replica is in step")


def url(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


async def sends(log: EventLog) -> AppendStatus:
    """What becomes of a send."""
    play = Play(log)
    [order_id] = await play.create()
    for fact in after_submission():
        if isinstance(fact, TransactionSubmitted):
            break
        await play.append([order_id], fact)
    head, order = play._heads[order_id]
    request, _ = log.build_append_of(head, order, [fact])
    return (await log.append([request]))[0].status


async def test_a_promoted_replica_stays_suspended_until_the_chain_was_asked(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has all that was archived, and yet what its primary took last may be missing."""
    with valkey(tmp_path / "a") as first:
        port = str(first.connection_pool.connection_kwargs["port"])
        with valkey(tmp_path / "b", "--replicaof", "127.0.0.1", port) as second:
            async with (
                opened(url(first), database_url) as (log, archive),
                projecting(url(first), database_url),
            ):
                await Play(log).live(3)
                await projected(log, archive)
                assert await sends(log) is AppendStatus.CREATED
                await projected(log, archive)
            in_step(first, second)
            second.replicaof("NO", "ONE")
            async with opened(url(second), database_url) as (log, archive):

                async def reported() -> bool:
                    return "was a replica" in (await archive.regression() or "")

                async def suspended() -> bool:
                    return bool(await log.suspended())

                async with projecting(url(second), database_url):
                    await until(reported, "the report", ignoring=NOT_YET)
                    # The report is written first; the log is suspended after it.
                    await until(suspended, "the suspension")
                with pytest.raises(AssertionError, match="SUSPENDED"):
                    await sends(log)
                # Started again it does not know any more that it was a replica; the log does.
                monkeypatch.setattr(EventLog, "promoted", AsyncMock(return_value=False))
                async with projecting(url(second), database_url):
                    await holds(reported, 1.0)
                    assert await log.suspended()


async def test_a_projector_on_another_server_verifies_it_again(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch-over may cut no read that is under way: no session ends by itself then."""
    vouched: list[str] = []
    vouch: Any = EventLog.mark_verified

    async def told(self: EventLog, server_id: str) -> None:
        vouched.append(server_id)
        await vouch(self, server_id)

    async def another(_: EventLog) -> str:
        return "another-run-id"

    monkeypatch.setattr(EventLog, "mark_verified", told)
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        await Play(log).live(1)
        await projected(log, archive)
        monkeypatch.setattr(EventLog, "server_id", another)

        async def vouched_again() -> bool:
            return vouched[-1:] == ["another-run-id"]

        await until(vouched_again, "the second look")


async def test_readyz_reports_a_server_that_refuses_writes_or_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.backends.health.POLICY_LOOKS", 1)
    monkeypatch.setattr("gateway.backends.health.UNVOUCHED_S", 0.1)
    with valkey(tmp_path / "a") as server:
        async with served(url(server)) as gateway:

            async def reported(status: int, part: str, words: str) -> None:
                """What /readyz comes to say."""

                async def so() -> bool:
                    seen, body = await gateway.get("/readyz")
                    return seen == status and words in body["reasons"].get(part, "nothing")

                await until(so)

            server.config_set("maxmemory-policy", "allkeys-lru")
            await reported(503, "log", "it must be noeviction")
            status, body, _ = await gateway.post()
            assert (status, body["code"]) == (503, "log-unavailable")
            server.config_set("maxmemory-policy", "noeviction")
            await reported(200, "log", "nothing")
            server.replicaof("127.0.0.1", "1")
            await reported(503, "log", "takes no writes")
            assert (await gateway.post())[0] == 503
            link = RedisConnection(url(server), "test")
            with pytest.raises(Unavailable):  # nothing was carried out
                await link.pipeline([("SET", "x", 1)])
            with pytest.raises(OutcomeUnknown):  # what came before it was
                await link.pipeline([("PING",), ("SET", "x", 1)])
            await link.close()
            server.replicaof("NO", "ONE")
            await reported(200, "log", "nothing")
            server.hset(gateway.log.keys.meta, "verified", "another-run-id")
            await reported(200, "projector", "nothing is sent")
            assert (await gateway.post())[0] == 202, "orders are taken all the same"
