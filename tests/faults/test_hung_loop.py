"""A process whose event loop stands still: it says so on /healthz's port, and ends itself."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from engine.processes import lifecycle, metrics_server
from engine.processes.signs_of_life import Heart, signs
from engine.settings_loader import load
from tests.support.waits import HANG_S, until

HANGING = """
import asyncio, sys
from pathlib import Path
from engine.processes import lifecycle
from engine.settings_loader import load
lifecycle.HUNG_S, lifecycle.LOOK_S = 0.4, 0.05

async def main(stop):
    print("here", flush=True)
    while True:
        pass

settings = load({"DATA_DIR": sys.argv[1], "HEARTBEAT_MS": "10"}, None)
lifecycle.serve(settings, "stage router", main)
"""


async def test_a_process_whose_loop_hangs_ends_itself_with_a_traceback(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING, str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == lifecycle.HUNG
    assert b"process_hung" in errors
    assert b"in main" in errors, "where it hangs"


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
