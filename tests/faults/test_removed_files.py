"""Cleaners of temporary files under a running engine: it continues, or ends without its data."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.embedded import sockets
from engine.embedded.data_dir import Folder, running
from engine.processes import parent_death
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import HANG_S, until

SERVERS = ("valkey", "postgres")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A short folder, in the place of /tmp."""
    folder = Path(f"/tmp/removed-{os.getpid()}")  # noqa: S108
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def remove_socket_folders(temporary: Path, _data: Path) -> None:
    shutil.rmtree(temporary)


def remove_a_socket(temporary: Path, _data: Path) -> None:
    [place] = temporary.iterdir()
    (place / "valkey.sock").unlink()
    (place / ".s.PGSQL.5432").unlink()


def remove_small_files(_temporary: Path, data: Path) -> None:
    for name in ("lock", "layout.json", "backends.json", "run"):
        (data / name).unlink()
    shutil.rmtree(data / "logs")


@pytest.mark.parametrize("remove", [remove_socket_folders, remove_a_socket, remove_small_files])
async def test_what_a_cleaner_removes_is_made_again_and_no_order_is_lost(
    short_path: Path, temporary: Path, remove: Callable[[Path, Path], None]
) -> None:
    data = short_path / ("long" * 25)
    environ = {"TMPDIR": str(temporary)}
    async with engine_up(data, environ, venue_latency_ms=0) as engine:
        ids = await engine.submit_many(5)
        before = {name: engine.pid(name) for name in SERVERS}
        remove(temporary, data)
        ids += await engine.submit_many(5)
        await until(lambda: _restarted(engine, before), ignoring=(OSError,))
        ids += await engine.submit_many(5)
        assert set((await engine.ended(ids)).values()) == {"confirmed"}
        # A process that starts now finds the servers too.
        projector = engine.kill("projector")
        await engine.restarted("projector", projector)
        await until(lambda: _archived(engine))
        told = (data / "up.log").read_text()
        assert told.count('"process_unreachable"') == len(SERVERS)
        for name in ("lock", "layout.json", "backends.json", "run", "logs/projector.log"):
            assert (data / name).exists(), name
        assert running(data), "the lock is held"
        await engine.assert_each_ended_exactly_once()


def _restarted(engine: Engine, before: dict[str, int]) -> bool:
    return all(engine.pid(name) not in (0, before[name]) for name in SERVERS)


async def _archived(engine: Engine) -> bool:
    ready = (await engine.get("/readyz")).body
    return (ready["status"], ready["lag"]["projection"]["events"]) == ("ready", 0)


@pytest.mark.parametrize("lost", [".", "valkey/appendonlydir", "postgres"])
async def test_an_engine_whose_data_was_removed_ends_and_says_so(
    short_path: Path, lost: str
) -> None:
    """It would confirm orders that no disk holds."""
    data = short_path / "d"
    log = short_path / "up.log"
    async with engine_up(data) as engine:
        os.link(data / "up.log", log)
        (data / lost).resolve().rename(short_path / "gone")
        async with asyncio.timeout(HANG_S):
            assert await engine.process.wait() == 1
    assert "was removed or moved while the engine ran: restore it" in log.read_text()


def test_a_folder_in_use_is_locked_as_systemd_tmpfiles_asks(tmp_path: Path) -> None:
    def cleaned() -> bool:
        file = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    with Folder(tmp_path):
        assert not cleaned()
    assert cleaned()


def test_a_socket_folder_that_another_made_in_between_is_not_used(short_path: Path) -> None:
    place = short_path / "engine-x"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    with pytest.raises(PermissionError, match="open to others"):
        sockets.restore(short_path / "run", place, parent_death.SELF)
    place.rmdir()
    place.symlink_to(short_path)
    with pytest.raises(PermissionError, match="belongs to another"):
        sockets.restore(short_path / "run", place, parent_death.SELF)
