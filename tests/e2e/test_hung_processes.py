"""One process of several of its kind hangs: it is seen by its own sign of life, and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from functools import partial
from http import HTTPStatus
from pathlib import Path

import msgspec
import redis.asyncio

from engine.processes.signs_of_life import Sign, signs
from engine.settings_loader import environment
from events.secret import SecretUrl
from tests.e2e.test_metrics import six_free_ports
from tests.support.processes.child import stage_process
from tests.support.processes.engine_up import Engine, engine_up, is_running
from tests.support.waits import HANG_S, until

HEARTBEAT_MS = 200
HEALTHCHECK = Path(__file__).parents[2] / "deploy/healthcheck.sh"


def routers(engine: Engine) -> list[Sign]:
    return [sign for sign in signs(engine.settings) if sign.process == "router"]


async def alive(engine: Engine, *names: str) -> tuple[int, dict[str, bool], str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine", "alive", *names, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment(engine.settings),
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), HANG_S)
    return process.returncode or 0, json.loads(out), errors.decode()


async def healthy(port: int) -> bool:
    """What the health check of the containers says of the process on a port."""
    process = await asyncio.create_subprocess_exec(
        str(HEALTHCHECK), "1",
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"METRICS_PORT": str(port)},
    )  # fmt: skip
    return await asyncio.wait_for(process.wait(), HANG_S) == 0


async def test_one_hung_router_of_two_is_seen_and_the_supervisor_restarts_its_own(
    short_path: Path,
) -> None:
    async with engine_up(short_path, heartbeat_ms=HEARTBEAT_MS) as engine:
        async with engine.one_more("router") as other:
            await until(lambda: len([sign for sign in routers(engine) if sign.exists]) == 2)
            assert {sign.pid for sign in routers(engine)} == {engine.pid("router"), other.pid}

            async def both_are_well() -> bool:
                return (await alive(engine, "router"))[:2] == (0, {"router": True})

            await until(both_are_well)
            hung = engine.kill("router", signal.SIGSTOP)

            async def is_seen() -> bool:
                status, kinds, text = await alive(engine, "router")
                assert status == (0 if kinds["router"] else 1)
                return status == 1 and f"process {hung} " in text

            await until(is_seen)
            assert await engine.restarted("router", hung)
            await until(lambda: not is_running(hung))

            async def is_well() -> bool:
                return (await alive(engine, "router"))[0] == 0

            await until(is_well)
            # The one that was started by hand has no supervisor: it is seen all the same.
            other.send_signal(signal.SIGSTOP)

            async def other_is_seen() -> bool:
                status, _, text = await alive(engine)
                return status == 1 and f"router (process {other.pid} on " in text

            await until(other_is_seen)
        await until(lambda: engine.pid("router"))

        async def only_one() -> bool:
            return (await alive(engine))[0] == 0

        await until(only_one)


async def test_healthz_of_each_process_is_its_own_and_the_check_of_the_containers_asks_it(
    short_path: Path,
) -> None:
    port = six_free_ports()
    async with engine_up(short_path, metrics_port=port, heartbeat_ms=HEARTBEAT_MS) as engine:

        async def is_ok(url: str) -> bool:
            async with engine.http.get(url) as answer:
                return (answer.status, await answer.json()) == (HTTPStatus.OK, {"status": "ok"})

        for number in range(6):
            await until(partial(is_ok, f"http://127.0.0.1:{port + number}/healthz"))
            await until(partial(healthy, port + number))
        assert not await healthy(engine.settings.port + 1), "nothing listens there"

        async def confirmer_is_ill() -> bool:
            return not await healthy(port + 3)

        confirmer = engine.kill("confirmer", signal.SIGSTOP)
        try:
            await until(confirmer_is_ill)
            await until(partial(healthy, port), "the router's check to be the router's")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(confirmer, signal.SIGCONT)
        await until(partial(healthy, port + 3))


async def test_readyz_names_one_hung_router_of_three_that_was_started_by_hand(
    short_path: Path, tmp_path: Path
) -> None:
    """By its sign of life where it shares DATA_DIR, else by its connections."""
    async with engine_up(short_path, heartbeat_ms=HEARTBEAT_MS, stuck_after_s=3) as engine:
        record = engine.record()
        elsewhere = msgspec.structs.replace(
            engine.settings,
            data_dir=tmp_path,
            redis_url=SecretUrl(record.redis_url),
            database_url=SecretUrl(record.database_url),
        )
        output = tmp_path / "elsewhere.log"
        async with (
            engine.one_more("router") as here,
            stage_process(elsewhere, "router", output=output) as there,
        ):
            for other in (here, there):

                async def named(pid: int = other.pid) -> bool:
                    ready = (await engine.get("/readyz")).body
                    parts = [p for p, code in ready["codes"].items() if code == "process-hung"]
                    return len(parts) == 1 and parts[0].endswith(f".{pid}")

                async def works() -> bool:
                    clients = await connected(record.redis_url)
                    return {f"-{p.pid}-" in clients for p in (here, there)} == {True}

                async def well() -> bool:
                    return (
                        "process-hung" not in (await engine.get("/readyz")).body["codes"].values()
                    )

                await until(works)
                other.send_signal(signal.SIGSTOP)
                await until(named, "the hung router to be named")
                other.send_signal(signal.SIGCONT)
                await until(well, "the reason to be over")


async def connected(url: str) -> str:
    """The names of the clients of the log's server."""
    async with redis.asyncio.from_url(url) as client:
        return " ".join(row["name"] for row in await client.client_list())
