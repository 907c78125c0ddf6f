"""Real disks that fill up: orders continue without Postgres, and each server heals by itself."""

from __future__ import annotations

import contextlib
import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_postgres_refuses import healed
from tests.support.processes import cluster
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import until

POSTGRES_MB = 100
VALKEY_MB = 12
ORDER = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}


@contextlib.contextmanager
def small_disk(path: Path, size_mb: int) -> Iterator[None]:
    """Puts a folder on a disk of its own."""
    content = path.with_name(f"{path.name}.content")
    path.rename(content)
    path.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "none", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        subprocess.run(["cp", "-Rp", f"{content}/.", path], check=True)
        owner = content.stat()
        subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", path], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextlib.contextmanager
def filled(path: Path) -> Iterator[None]:
    """Leaves no room on the disk of a folder."""
    balloon = path / "balloon"
    with balloon.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 16)) > 0:
            pass
    try:
        yield
    finally:
        balloon.unlink()


def no_room_left(path: Path) -> bool:
    """Whether a write of one more page fails."""
    probe = path / "probe"
    try:
        probe.write_bytes(bytes(1 << 16))
    except OSError as error:
        return error.errno == errno.ENOSPC
    finally:
        probe.unlink(missing_ok=True)
    return False


def logged(folder: Path, event: str, process: str) -> int:
    """How often a process logged an event, repeated lines included."""
    lines = [line for line in (folder / "up.log").read_text().splitlines() if line[:1] == "{"]
    fields = [line for line in map(json.loads, lines) if line.get("process") == process]
    return sum(1 + line.get("repeated", 0) for line in fields if line["event"] == event)


async def projector_reason(engine: Engine) -> str:
    ready = await engine.get("/readyz")
    return str(ready.body["reasons"].get("projector", ""))


async def test_orders_continue_while_the_disk_of_postgres_is_full(short_path: Path) -> None:
    folder = short_path / "d"
    cluster.lay(folder)
    with small_disk(folder / "postgres", POSTGRES_MB):
        async with engine_up(folder, stuck_after_s=3) as engine:
            with filled(folder / "postgres"):
                ids: list[str] = []

                async def reason_is_shown() -> bool:
                    ids.extend(await engine.submit_many(10))
                    return "No space left on device" in await projector_reason(engine)

                await until(reason_is_shown)
                assert set((await engine.ended(ids)).values()) == {"confirmed"}
                assert no_room_left(folder / "postgres")
            await until(lambda: healed(engine))

            async def reason_is_over() -> bool:
                return await projector_reason(engine) == ""

            await until(reason_is_over)
            await engine.assert_each_ended_exactly_once()
    begun = logged(folder, "backend_outage_begun", "projector")
    assert begun >= 1
    # One line a retry would be many of the first and one of the second.
    assert logged(folder, "backend_outage_over", "projector") == begun


async def test_a_full_disk_of_the_log_refuses_orders_until_there_is_room(short_path: Path) -> None:
    folder = short_path / "d"
    (folder / "valkey").mkdir(mode=0o700, parents=True)
    with small_disk(folder / "valkey", VALKEY_MB):
        async with engine_up(folder) as engine:
            ids = await engine.submit_many(3)
            keys: list[str] = []
            with filled(folder / "valkey"):

                async def is_refused() -> bool:
                    keys.append(f"key-{len(keys)}")
                    answer = await engine.post(ORDER, key=keys[-1])
                    assert answer.status in (202, 503), answer
                    return answer.status == 503

                await until(is_refused)
            await until(lambda: healed(engine))
            for key in keys:  # whatever became of the first try, the key names one order
                answer = await engine.post(ORDER, key=key)
                ids.append(answer.body["orderId"])
            engine.accepted.update(ids)
            ids += await engine.submit_many(3)
            assert set((await engine.ended(ids)).values()) == {"confirmed"}
            await engine.assert_each_ended_exactly_once()
