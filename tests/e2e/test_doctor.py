"""`engine doctor` before real servers: what is wrong is named, with how to mend it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from engine.commands.doctor import examine
from engine.doctor import log_server, running
from engine.doctor.findings import Finding, Own, reach_mend, skew
from engine.localnet.genesis import pools_file
from engine.processes.signs_of_life import signs
from engine.settings import Settings
from engine.settings_loader import environment, load
from tests.integration.test_solana_survey import lacks, whole
from tests.support.chain.rpc_node import HttpError, at, rpc_node
from tests.support.processes.engine_up import Engine, free_port
from tests.support.processes.localnet_up import localnet_up


def settings_of(folder: Path, **value: Any) -> Settings:
    fixed = {"data_dir": folder / "data", "port": free_port(), "venues": "simulated"}
    return load({k.upper(): str(v) for k, v in (fixed | value).items()}, None)


async def findings_by_name(folder: Path, **value: Any) -> dict[str, Finding]:
    findings = await examine(settings_of(folder, **value))
    assert all(
        bool(finding.mend) == (finding.status in ("warning", "failed")) for finding in findings
    )
    return {finding.name: finding for finding in findings}


async def doctor(settings: Settings, *options: str) -> tuple[int, str]:
    """The command in a process of its own: exit code and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "engine", "doctor", *options,
        env=os.environ | environment(settings), cwd=settings.data_dir.parent,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_running_engine_on_its_own_servers_is_sound(engine: Engine) -> None:
    # Set for the engine, not for the doctor: its venues are those that it runs with.
    unsaid = replace(engine.settings, venues=("raydium", "meteora"))
    code, output = await doctor(unsaid, "--json")
    body = json.loads(output)
    by_name = {item["name"]: item for item in body["checks"]}
    assert (code, [o for o in body["checks"] if o["status"] == "failed"]) == (0, [])
    for name in ("appendonly", "appendfsync", "maxmemory-policy", "fsync", "tables", "gateway"):
        assert by_name[name]["status"] == "ok", by_name[name]
    assert by_name.keys() >= {"log server's clock", "Postgres' clock"}, (
        "apart, where one is asked late"
    )
    assert by_name["log server"]["detail"].startswith("valkey ")
    assert by_name["VENUES"]["detail"] == by_name["chain of the log"]["detail"] == "simulated"


async def test_the_doctor_knows_whether_an_engine_runs(
    engine: Engine, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    there = await findings_by_name(tmp_path, data_dir=engine.settings.data_dir)
    assert there["engine"].status == "ok"
    assert "gateway" in there["engine"].detail
    assert "router" in there["engine"].detail
    assert (await findings_by_name(tmp_path))["engine"].status == "skipped", "none was ever there"
    stopped = tmp_path / "stopped"
    stopped.mkdir(mode=0o700)
    (stopped / "layout.json").write_bytes((engine.settings.data_dir / "layout.json").read_bytes())
    seen = (await findings_by_name(tmp_path, data_dir=stopped))["engine"]
    assert (seen.status, seen.mend) == ("warning", "engine up")
    assert "none runs" in seen.detail
    servers = {"redis_url": redis_url, "database_url": database_url}
    unused = (await findings_by_name(tmp_path, **servers))["gateway"]
    assert unused.status == "warning", "no gateway, and no worker that the log knows"
    assert "no engine runs" in unused.detail
    sign = next(s for s in signs(engine.settings) if s.process == "router")
    finding = running._hung(sign)
    assert (finding.status, finding.mend) == ("failed", f"kill -9 {sign.pid} there")


def test_a_full_log_has_one_remedy_which_is_not_a_repair() -> None:
    full: dict[str, object] = {
        "status": "unavailable",
        "reasons": {"log": "full"},
        "codes": {"log": "log-full"},
    }
    findings = list(running._findings("http://here", full))
    memory = log_server._memory({"used_memory": "90", "maxmemory": "100"})
    mends = [item.mend for item in (*findings, memory) if item.status == "failed"]
    assert len(mends) == 2
    for mend in mends:
        assert "VALKEY_MAXMEMORY_MB" in mend
        assert "repair" not in mend


async def test_ports_and_keys_of_separately_started_processes_do_not_fail(
    engine: Engine, tmp_path: Path
) -> None:
    record = engine.record()
    there = {"redis_url": record.redis_url, "database_url": record.database_url}
    beside = await findings_by_name(tmp_path, **there, port=engine.settings.port, metrics_port=9464)
    assert [finding for finding in beside.values() if finding.status == "failed"] == []
    assert (beside["gateway"].status, beside["chain of the log"].detail) == ("ok", "simulated")
    assert (await findings_by_name(tmp_path, **there))["gateway"].status == "skipped", (
        "on another machine"
    )
    pools = Path(__file__).parents[2] / "pools" / "devnet.toml"
    node = {"solana_rpc_url": f"http://127.0.0.1:{free_port()}", "pools": pools}
    key = {"solana_keypair": "/run/secrets/not-ours", "venues": "raydium,meteora"}
    gateway = await findings_by_name(tmp_path, **there, **node, **key)
    assert (gateway["VENUES"].status, gateway["wallet"].status) == ("ok", "skipped")
    assert "trade on 'simulated'" in gateway["chain of the log"].detail
    assert (await findings_by_name(tmp_path, **node, **key))["VENUES"].status == "failed", (
        "an engine signs"
    )


async def test_servers_without_durability_are_named_with_a_remedy(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            results = {"redis_url": redis_url, "database_url": database_url}
            seen = await findings_by_name(tmp_path, **results)
            code, output = await doctor(settings_of(tmp_path, **results))
        finally:
            client.config_set("maxmemory-policy", before)
    assert seen["maxmemory-policy"].status == "failed"
    assert "noeviction" in seen["maxmemory-policy"].mend
    assert seen["appendonly"].status == "failed", "the servers of the tests wait for no disk"
    assert seen["fsync"].status == "failed"
    assert seen["fsync"].mend == "ALTER SYSTEM SET fsync = on, then reload it"
    assert seen["tables"].status == "skipped", "no projector has run there"
    assert code == 1
    assert "FAIL  maxmemory-policy: allkeys-lru, not noeviction\n      mend: CONFIG SET" in output


async def test_servers_that_do_not_answer_are_a_finding_each(tmp_path: Path) -> None:
    port = free_port()
    seen = await findings_by_name(
        tmp_path,
        redis_url=f"redis://:hunter2@127.0.0.1:{port}/0",
        database_url=f"postgresql://u:hunter2@127.0.0.1:{port}/x",
    )
    assert (seen["log server"].status, seen["Postgres"].status) == ("failed", "failed")
    assert "hunter2" not in str(seen)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        seen = await findings_by_name(tmp_path, port=other.getsockname()[1])
    assert (seen["port"].status, seen["port"].mend) == ("failed", "end who has it, or set PORT")


async def test_a_wallet_file_readable_by_others_is_reported_with_its_chmod(tmp_path: Path) -> None:
    wallet = tmp_path / "data/wallet.json"
    wallet.parent.mkdir(mode=0o700)
    wallet.write_text("[]")
    wallet.chmod(0o644)
    assert (await findings_by_name(tmp_path))["wallet.json"].mend == f"chmod 600 {wallet}"
    wallet.chmod(0o600)
    assert (await findings_by_name(tmp_path))["wallet.json"].status == "ok"


async def test_the_doctor_creates_no_file(tmp_path: Path) -> None:
    assert (await findings_by_name(tmp_path))["DATA_DIR"].status == "ok"
    assert list(tmp_path.iterdir()) == []


async def test_nodes_pools_and_an_empty_wallet_are_judged_on_a_real_chain(tmp_path: Path) -> None:
    from solders.keypair import Keypair

    key, pools = tmp_path / "key.json", tmp_path / "pools.json"
    key.write_text(json.dumps(list(bytes(Keypair()))))
    key.chmod(0o600)
    pools.write_text(json.dumps(pools_file()))
    async with localnet_up(tmp_path) as chain:
        dead = f"http://127.0.0.1:{free_port()}/secret-key"
        results = {"venues": "raydium,meteora", "solana_keypair": key, "pools": pools}
        seen = await findings_by_name(tmp_path, solana_rpc_url=f"{chain.url},{dead}", **results)
        assert seen["node 1"].status == "ok", seen["node 1"]
        assert seen["node 2"].status == "failed"
        assert "secret-key" not in str(seen)
        assert seen["POOLS"].status == "ok", seen["POOLS"]
        assert seen["wallet"].status == "failed"
        assert seen["wallet"].mend.startswith("send SOL to ")
        pools.write_text(json.dumps(pools_file() | {"cluster": "devnet"}))
        other = await findings_by_name(tmp_path, solana_rpc_url=chain.url, **results)
        assert "wrong-cluster" in other["node 1"].detail
        assert "wallet" not in other, "nothing is asked of a chain that is not ours"


def _counting(slots: Iterator[int], _: Any) -> int:
    return next(slots)


async def test_methods_that_a_node_does_not_serve_and_slot_differences_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from solders.keypair import Keypair

    monkeypatch.setattr("engine.doctor.chain.STILL_S", 0.0)  # each question is a slot later here
    key, pools = tmp_path / "key.json", tmp_path / "pools.json"
    key.write_text(json.dumps(list(bytes(Keypair()))))
    key.chmod(0o600)
    pools.write_text(json.dumps(pools_file()))

    def few(params: Any) -> Any:
        if len(params[0]) > 5:
            raise HttpError(413, '{"error": {"code": -32602, "message": "limited to a 5 range"}}')
        return at(1, [None] * len(params[0]))

    async with rpc_node() as first, rpc_node() as second:
        for node, slot in ((whole(first), 1_000), (whole(second), 900)):
            node.answers["getSlot"] = partial(_counting, count(slot))
            node.answers["getMultipleAccounts"] = lambda p: at(1, [None] * len(p[0]))
            node.answers["getBalance"] = lambda _: at(1, 10**9)
        first.answers["getMultipleAccounts"] = few
        first.answers["getTransaction"] = lacks
        results = {
            "venues": "raydium,meteora", "solana_keypair": key, "pools": pools,
            "solana_rpc_url": f"{first.url},{second.url}", "data_dir": tmp_path,
        }  # fmt: skip
        seen = await findings_by_name(tmp_path, **results)
        assert seen["methods of node 1"].status == "warning", "the other node serves it"
        for words in ("orders need: getTransaction: 127.0.0.1: -32601", "at most 5 a call",
                      "limited to a 5 range"):  # fmt: skip
            assert words in seen["methods of node 1"].detail
        assert seen["methods of node 2"].status == "ok", seen["methods of node 2"]
        assert seen["lag of nodes"].status == "warning"
        assert "slots behind the newest of 2" in seen["lag of nodes"].detail
        second.answers["getTransaction"] = lacks
        code, output = await doctor(settings_of(tmp_path, **results), "--json")
        by_name = {load["name"]: load for load in json.loads(output)["checks"]}
        assert (code, by_name["methods of node 1"]["status"]) == (1, "failed")
        assert by_name["methods of node 2"]["status"] == "failed"
        assert "secret-key" not in output


@pytest.mark.parametrize(
    ("info", "status"),
    [
        ({"redis_version": "7.0.15"}, "failed"),
        ({"redis_version": "7.2.4"}, "ok"),
        ({"server_name": "valkey", "valkey_version": "7.2.9", "redis_version": "7.2.4"}, "failed"),
        ({"server_name": "valkey", "valkey_version": "10.0.1", "redis_version": "7.2.4"}, "ok"),
    ],
)
def test_versions_are_compared_as_numbers(info: dict[str, str], status: str) -> None:
    assert log_server._version(info).status == status


def test_clock_skew_is_reported() -> None:
    assert [skew("c", 100.0, at).status for at in (100.1, 99.0, 120.0)] == [
        "ok", "warning", "failed",
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["full", "suspended", "unsafe", "unavailable"])
def test_the_remedy_for_the_log_follows_from_its_status(status: str) -> None:
    ready: dict[str, object] = {"reasons": {"log": "why"}, "codes": {"log": f"log-{status}"}}
    [result] = [
        finding for finding in running._findings("http://here", ready) if finding.name == "log"
    ]
    assert result.status == "failed"
    assert "engine repair" not in result.mend, "the command is named once, under `records`"
    assert ("maxmemory" in result.mend) is (status == "full")
    assert ("records" in result.mend) is (status in ("suspended", "unavailable"))


@pytest.mark.parametrize(
    ("error", "own", "mend"),
    [
        (TimeoutError(), None, "start the server that REDIS_URL names"),
        (ConnectionRefusedError("refused"), None, "start the server that REDIS_URL names"),
        (OSError("bad login"), None, "correct REDIS_URL"),
        (TimeoutError(), Own("valkey", 7), "kill -9 7: it hangs"),
        (OSError("getSlot: no answer in time"), Own("localnet", 7), "kill -9 7: it hangs"),
        (ConnectionRefusedError("refused"), Own("valkey", 7), "look into logs/valkey.log"),
    ],
)
def test_the_remedy_for_a_server_that_does_not_answer_follows_from_who_runs_it(
    error: Exception, own: Own | None, mend: str
) -> None:
    assert reach_mend(error, "REDIS_URL", own).startswith(mend)
