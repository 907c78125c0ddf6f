"""A process whose event loop stands still: it says so on /healthz's port, and ends itself."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import structlog

from engine.doctor import machine
from engine.processes import lifecycle, metrics_server
from engine.processes.signs_of_life import Heart, sign_file, signs
from engine.settings_loader import load
from tests.support.processes.child import child
from tests.support.waits import HANG_S, holds, pace, until

HUNG_S = 2.0
SCRIPT = """
import sys
from engine.processes import lifecycle
from engine.settings_loader import load
lifecycle.HUNG_S, lifecycle.LOOK_S = float(sys.argv[2]), 0.05
lifecycle.fast_loop()  # its import, which may take long, does not count as a hang

async def hangs(stop):
    while True:
        pass

async def works(stop):
    await stop.wait()

settings = load({"DATA_DIR": sys.argv[1], "HEARTBEAT_MS": "10"}, None)
sys.exit(lifecycle.serve(settings, "stage router", globals()[sys.argv[3]]))
"""


def running(folder: Path, main: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    argv = (sys.executable, "-c", SCRIPT, str(folder), str(HUNG_S), main)
    return child(*argv, stderr=asyncio.subprocess.PIPE)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, bytes]:
    _, errors = await asyncio.wait_for(process.communicate(), HANG_S)
    return process.returncode, errors


async def test_a_process_whose_loop_hangs_ends_itself_with_a_traceback(tmp_path: Path) -> None:
    async with running(tmp_path, "hangs") as process:
        status, errors = await ended(process)
    assert status == lifecycle.HUNG
    lines = [json.loads(line) for line in errors.splitlines()]
    [hung] = [line for line in lines if line["event"] == "process_hung"]
    [place] = [calls[-1] for thread, calls in hung["stacks"].items() if thread == "MainThread"]
    assert place.endswith(" hangs"), "where it hangs"


async def test_a_process_that_was_stopped_for_longer_lives_on(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path), "HEARTBEAT_MS": "10"}, None)
    async with running(tmp_path, "works") as process:
        for _ in range(3):
            await until(lambda: any(sign.is_alive(settings) for sign in signs(settings)))
            process.send_signal(signal.SIGSTOP)
            await pace(1.2 * HUNG_S)
            process.send_signal(signal.SIGCONT)
        await holds(lambda: process.returncode is None, HUNG_S / 2)
        await until(lambda: any(sign.is_alive(settings) for sign in signs(settings)))
        process.terminate()
        assert (await ended(process))[0] == 0


async def test_a_disk_that_hangs_ends_no_process(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path), "HEARTBEAT_MS": "10"}, None)
    # To open a pipe takes until another process opens it too.
    hanging = tmp_path / "alive/stage-router@here.1"
    hanging.parent.mkdir()
    os.mkfifo(hanging)
    async with running(tmp_path, "works") as process:
        await until(lambda: is_released(hanging))
        await until(lambda: [sign.pid for sign in signs(settings)] == [process.pid])
        os.mkfifo(hanging)
        sign_file(settings, "stage router", process.pid).unlink()  # made again, after a sweep
        await holds(lambda: process.returncode is None, 1.5 * HUNG_S)
        await until(lambda: is_released(hanging))
        await until(lambda: [sign.pid for sign in signs(settings)] == [process.pid])
        process.terminate()
        assert (await ended(process))[0] == 0


def is_released(pipe: Path) -> bool:
    """Whether a process that waits for the other end of a pipe has it, and removed the pipe."""
    with contextlib.suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return not pipe.exists()


async def test_a_sign_of_life_that_was_removed_is_made_again(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path), "HEARTBEAT_MS": "10"}, None)
    beating = asyncio.create_task(Heart().beat(settings, "gateway"))
    await until(lambda: signs(settings))
    sign_file(settings, "gateway", os.getpid()).unlink()
    await until(lambda: [sign.exists for sign in signs(settings)] == [True])
    shutil.rmtree(tmp_path / "alive", ignore_errors=True)
    await until(lambda: [sign.exists for sign in signs(settings)] == [True])
    beating.cancel()
    await asyncio.wait({beating}, timeout=HANG_S)
    assert signs(settings) == []


async def test_a_lock_that_another_process_holds_delays_no_stop(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path), "HEARTBEAT_MS": "10"}, None)
    path = sign_file(settings, "gateway", os.getpid())
    path.parent.mkdir()
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        heart = Heart()
        beating = asyncio.create_task(heart.beat(settings, "gateway"))
        await until(lambda: heart.beats > 3)
        beating.cancel()
        await asyncio.wait({beating}, timeout=HANG_S)
        assert beating.done()


async def test_the_sign_of_a_killed_process_is_told_from_that_of_a_hung_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load({"DATA_DIR": str(tmp_path), "HEARTBEAT_MS": "10"}, None)
    beating = asyncio.create_task(Heart().beat(settings, "stage router"))
    await until(lambda: signs(settings))
    [sign] = signs(settings)
    assert (sign.process, sign.exists) == ("stage-router", True)
    # The file of a process that was killed, and of one of an earlier build, which locked none.
    (tmp_path / "alive/stage-router@here.1").touch()
    (tmp_path / "alive/router").touch()
    assert [sign.exists for sign in signs(settings) if sign.pid == 1] == [False]
    beating.cancel()
    await asyncio.wait({beating})
    assert [sign.pid for sign in signs(settings)] == [1], "a stop in order leaves no sign"
    monkeypatch.setattr("os.getpid", lambda: 2)
    beating = asyncio.create_task(Heart().beat(settings, "gateway"))
    await until(lambda: [sign.pid for sign in signs(settings)] == [2])
    assert not (tmp_path / "alive/router").exists()
    beating.cancel()
    await asyncio.wait({beating})


async def test_healthz_is_503_once_the_last_heartbeats_were_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heart = Heart()
    monkeypatch.setattr(metrics_server, "HEART", heart)
    asked = object()
    assert (await metrics_server.healthz(asked)).status == 503, "before the first heartbeat"  # type: ignore[arg-type]
    heart._every_s, heart._beaten_at = 5.0, time.monotonic()
    assert (await metrics_server.healthz(asked)).status == 200  # type: ignore[arg-type]
    heart._beaten_at -= 15.1
    assert (await metrics_server.healthz(asked)).status == 503  # type: ignore[arg-type]


async def test_a_metrics_port_that_is_taken_is_served_once_it_is_free() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        settings = load({"METRICS_PORT": str(port), "METRICS_HOST": "127.0.0.1"}, None)
        with structlog.testing.capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
            patch.setattr(metrics_server, "RETRY_S", 0.01)
            async with metrics_server.listening(settings):
                await until(lambda: len(lines) == 1)
                serves = asyncio.to_thread(machine._serves_metrics, "127.0.0.1", port)
                assert not await asyncio.wait_for(serves, HANG_S)
                taker.close()
                await until(lambda: len(lines) == 2)
                serves = asyncio.to_thread(machine._serves_metrics, "127.0.0.1", port)
                assert await asyncio.wait_for(serves, HANG_S)
    assert [(line["event"], line["log_level"], line["port"]) for line in lines] == [
        ("metrics_port_unavailable", "warning", port), ("metrics_port_opened", "info", port),
    ]  # fmt: skip


async def test_a_process_that_ends_before_its_metrics_port_is_free_ends() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        settings = load({"METRICS_PORT": str(port), "METRICS_HOST": "127.0.0.1"}, None)

        async def work() -> None:
            await pace(0.01)

        await asyncio.wait_for(metrics_server.metered(settings, work()), HANG_S)
