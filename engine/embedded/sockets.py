"""The folder of the sockets of the embedded servers: private, short, and writable.

A path of a socket has at most 107 bytes, and Postgres reads a comma in it as the end of the path.
Where DATA_DIR is too long, or has a comma, the folder lies elsewhere and DATA_DIR links to it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.embedded import owners
from engine.processes import parent_death
from engine.processes.program import StartError

# The kernel's limit is 107 bytes on Linux, 103 on macOS.
SOCKET_PATH_MAX = 100
LONGEST_NAME = ".s.PGSQL.5432.lock"


def make(path: Path, user: str) -> Path:
    """Returns an empty private folder for sockets: `path`, or another one that it links to then.

    `user`: who has to reach it, besides this process. Raises StartError.
    """
    remove(path)  # of an engine that was killed
    if _fits(path, user):
        path.mkdir(mode=0o700)
        owners.give(path, user)
        return path
    for parent in _elsewhere():
        try:
            place = Path(tempfile.mkdtemp(prefix="engine-", dir=parent))
        except OSError:
            continue
        if _fits(place, user):
            path.symlink_to(place)
            owners.give(place, user)
            return place
        place.rmdir()
    why = f"{path} is too long a path for sockets, or has a comma"
    if user == parent_death.DROPPED:
        why += ", or lies below a private folder"
    raise StartError(f"{why}, and no other folder serves: set DATA_DIR or TMPDIR to a short path")


def remove(path: Path) -> None:
    """Removes the folder, wherever it is."""
    if path.is_symlink():
        shutil.rmtree(path.readlink(), ignore_errors=True)
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def restore(path: Path, place: Path, user: str) -> None:
    """Creates the folder `place`, that `make` returned for `path`, where it was removed since.

    Raises OSError, also where the folder that is there now is not ours alone.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
        owners.give(place, user)
    # Another user may create a folder of that name in /tmp, and answer as our servers.
    if not owners.is_private(place, user):
        raise PermissionError(f"{place} belongs to another user, or is open to others")
    if place != path and not path.is_symlink():
        path.symlink_to(place)


def _elsewhere() -> Iterator[str]:
    yield tempfile.gettempdir()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield runtime
    yield from (f"/run/user/{os.getuid()}", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


def _fits(path: Path, user: str) -> bool:
    short = len(os.fsencode(path / LONGEST_NAME)) <= SOCKET_PATH_MAX
    reached = user != parent_death.DROPPED or parent_death.walkable(path)
    return short and reached and "," not in str(path)
