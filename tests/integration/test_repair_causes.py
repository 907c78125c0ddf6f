"""`engine repair` names what it failed of: the chain, the log server or Postgres."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis.asyncio
from msgspec.structs import replace

from engine.commands import projections, repair
from engine.localnet.genesis import pools_file
from engine.settings import Settings
from events.archive import Archive
from events.log import EventLog
from events.secret import SecretText, SecretUrl
from tests.integration.test_acl import acl, as_user
from tests.support.chain.localchain import WALLET
from tests.support.chain.rpc_node import JsonError, Node, at, rpc_node
from tests.support.log.played import Play
from tests.support.log.projected import opened, projected, projecting

SOME_TIME = 1_700_000_000


class Scene(NamedTuple):
    """A log and its archive beside a node, and the settings that lead there."""

    settings: Settings
    node: Node
    log: EventLog
    archive: Archive


def well(node: Node) -> None:
    """It knows of a wallet that has executed nothing."""
    node.answers |= {
        "getFirstAvailableBlock": lambda _: 0,
        "getBlockTime": lambda _: int(time.time()),
        "getEpochInfo": lambda _: {"absoluteSlot": 1_000, "blockHeight": 1_000},
        "getBlockHeight": lambda _: 1_000,
        "getLatestBlockhash": lambda _: at(
            1_000, {"blockhash": "1" * 32, "lastValidBlockHeight": 900}
        ),
        "getSignaturesForAddress": lambda _: [],
    }


@pytest.fixture
async def scene(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr("engine.recovery.recreate_log.FENCED_S", 0.05)
    monkeypatch.setattr("stages.venues.solana.outcomes.executed.BEHIND_S", 0.001)
    async with rpc_node() as node, opened(redis_url, database_url) as (log, archive):
        well(node)
        await Play(log).live(3)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        async with redis.asyncio.from_url(redis_url) as client:
            await client.flushdb()
        pools, key = tmp_path / "pools.json", tmp_path / "wallet.json"
        pools.write_text(json.dumps(pools_file()))
        key.write_text(json.dumps(list(bytes(WALLET))))
        key.chmod(0o600)
        settings = Settings(
            data_dir=tmp_path,
            venues=("raydium", "meteora"),
            solana_rpc_url=(SecretUrl(node.url),),
            solana_keypair=SecretText(str(key)),
            pools=str(pools),
            redis_url=SecretUrl(redis_url),
            database_url=SecretUrl(database_url),
        )
        yield Scene(settings, node, log, archive)


async def repaired(settings: Settings) -> int:
    """`engine repair --yes`."""
    args = argparse.Namespace(
        yes=True, restored=False, json=False, drop_after=None, accept_loss=False, reason=""
    )
    return await asyncio.to_thread(repair.run, settings, args)


def closed_port() -> int:
    """A port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def refusing(code: int) -> Callable[[Any], Any]:
    """The answer of a node that refuses a call."""

    def answer(_: Any) -> Any:
        raise JsonError(code, "says so")

    return answer


def behind(node: Node) -> None:
    """The node that tells the history is not as far as the one that tells the height."""
    node.answers["getEpochInfo"] = lambda _: {"absoluteSlot": 9, "blockHeight": 9}


def forgetful(node: Node) -> None:
    """Its blocks begin at the newest one."""
    node.answers["getFirstAvailableBlock"] = lambda _: 1_000


def hiding(node: Node) -> None:
    """It names a transaction and does not show it."""
    line = {"signature": "a", "slot": 7, "err": None, "memo": None, "blockTime": SOME_TIME}
    node.answers["getSignaturesForAddress"] = lambda _: [line]
    node.answers["getTransaction"] = lambda _: None


CHAIN: dict[str, tuple[Callable[[Node], None], str]] = {
    "a refused history": (
        lambda node: node.answers.update(getSignaturesForAddress=refusing(-32602)),
        "chain: node-refused: -32602: says so",
    ),
    "a refused height": (
        lambda node: node.answers.update(getBlockHeight=refusing(-32602)),
        "chain: method-not-served: getBlockHeight: ",
    ),
    "a refused blockhash": (
        lambda node: node.answers.update(getLatestBlockhash=refusing(-32602)),
        "chain: method-not-served: getLatestBlockhash: ",
    ),
    "a node that is behind": (behind, "chain: node-behind: the node is at height 9"),
    "a short history": (forgetful, "chain: history-too-short: "),
    "a transaction that is not shown": (hiding, "chain: details-not-available: a is in"),
    "an answer that cannot be read": (
        lambda node: setattr(node, "fault", "garbage"),
        "chain: venue-unavailable: ",
    ),
}


@pytest.mark.parametrize("name", CHAIN)
async def test_a_fault_of_the_chain_is_reported_as_such(
    scene: Scene, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks, cause = CHAIN[name]
    breaks(scene.node)
    assert await repaired(scene.settings) == 1
    err = capsys.readouterr().err
    assert f"engine: not repaired: {cause}" in err
    assert "Postgres" not in err
    assert "log server" not in err
    # No log was created: with a node that answers it can be begun again.
    scene.node.fault = ""
    well(scene.node)
    assert await repaired(scene.settings) == 0


async def test_an_unreachable_node_is_not_reported_as_an_error_of_postgres(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(
        scene.settings, solana_rpc_url=(SecretUrl(f"http://127.0.0.1:{closed_port()}"),)
    )
    assert await repaired(settings) == 1
    err = capsys.readouterr().err
    assert "engine: not repaired: chain: venue-unavailable: " in err
    assert "Postgres" not in err


async def test_a_missing_log_server_is_reported_as_such(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(scene.settings, redis_url=f"redis://127.0.0.1:{closed_port()}")
    assert await repaired(settings) == 2
    err = capsys.readouterr().err
    assert "engine: cannot read: log server: " in err
    assert ("Postgres" in err, "chain" in err) == (False, False)


async def test_a_missing_postgres_is_reported_as_such(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"postgresql://127.0.0.1:{closed_port()}/none"
    settings = replace(scene.settings, database_url=url)
    assert await repaired(settings) == 2
    args = argparse.Namespace(json=False)
    assert await asyncio.to_thread(projections.run, settings, args) == 1
    err = capsys.readouterr().err
    assert "engine: cannot read: Postgres: " in err
    assert "engine: not rebuilt, nothing changed: Postgres: " in err
    assert ("log server" in err, "chain" in err) == (False, False)


async def test_a_refusal_of_the_log_server_is_one_line(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ("on", ">secret", "~oee:*", "+@all", "-@read")
    async with redis.asyncio.from_url(scene.settings.redis_url.reveal()) as client:
        await acl(client, "SETUSER", "limited", *rules)
        limited = SecretUrl(as_user(scene.settings.redis_url.reveal(), "limited"))
        assert await repaired(replace(scene.settings, redis_url=limited)) == 2
        await acl(client, "DELUSER", "limited")
        await acl(client, "LOG", "RESET")
    err = capsys.readouterr().err
    assert "engine: cannot read: " in err
    assert "NOPERM" in err
    assert "Traceback" not in err


async def test_a_log_whose_meta_has_another_type_is_recreated(scene: Scene) -> None:
    async with redis.asyncio.from_url(scene.settings.redis_url.reveal()) as client:
        await client.set(scene.log.keys.meta, "no hash")
    assert await repaired(scene.settings) == 0


async def test_the_simulated_chains_ledger_is_the_chain(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "simulated"
    settings = replace(scene.settings, venues=("simulated",), data_dir=folder, blockhash_slots=1)
    from engine.venues import ledger_path

    ledger_path(settings).parent.mkdir(parents=True)
    ledger_path(settings).write_bytes(b"this is no database, whatever else it may be" * 40)
    assert await repaired(settings) == 1
    err = capsys.readouterr().err
    assert "engine: not repaired: " in err
    assert "ledger" in err
    assert "Postgres" not in err
