"""Who the files of Postgres belong to, and how that user reaches them: it refuses to be root."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from engine.embedded.data_dir import Layout
from engine.processes import parent_death
from engine.processes.program import StartError

HERE = Path("/proc/self/cwd")
"""The folder that a process was started in, also where it cannot walk to it."""


def user() -> str:
    """Who Postgres runs as in a new folder."""
    if os.geteuid() != 0:
        return parent_death.SELF
    return parent_death.NAMESPACE if parent_death.namespaces_allowed() else parent_death.DROPPED


def of_initdb(user: str) -> str:
    """Who initdb runs as, for files of this user: it refuses a user without a name.

    Raises StartError.
    """
    uid = parent_death.UNPRIVILEGED_UID if user == parent_death.DROPPED else os.geteuid()
    if user == parent_death.NAMESPACE or parent_death.has_name(uid):
        return user
    if user == parent_death.SELF and parent_death.namespaces_allowed():
        return parent_death.NAMESPACE
    why = f"the user {uid} has no entry in /etc/passwd, and initdb needs one"
    raise StartError(f"{why}: add one, run as a user with an entry, or set DATABASE_URL")


def adopt(layout: Layout, data: Path) -> Layout:
    """Returns the layout for files that another user, or root elsewhere, may have made.

    A folder moves: into a container without namespaces, or from a user to root. Raises StartError
    where the files are not ours.
    """
    if not data.is_dir():
        return layout
    if os.geteuid() != 0:
        owner = data.stat().st_uid
        if owner != os.geteuid():
            remedy = f"run as that user, or: chown -R {os.geteuid()} {data.parent}"
            raise StartError(f"{data} belongs to the user {owner}: {remedy}")
        return msgspec.structs.replace(layout, postgres_user=parent_death.SELF)
    if layout.postgres_user == parent_death.DROPPED:
        return layout
    present = user()
    if present != layout.postgres_user:
        for folder, _, names in os.walk(data):
            for path in (Path(folder), *(Path(folder) / name for name in names)):
                os.chown(path, *_ids(present), follow_symlinks=False)
    return msgspec.structs.replace(layout, postgres_user=present)


def give(path: Path, user: str) -> None:
    """Makes a file or folder the user's."""
    if user == parent_death.DROPPED:
        os.chown(path, *_ids(user))


def is_private(path: Path, user: str) -> bool:
    """Whether a path is a folder of the user's, closed to all others."""
    info = path.lstat()
    ours = (_ids(user)[0], os.geteuid())
    return stat.S_ISDIR(info.st_mode) and info.st_uid in ours and not info.st_mode & 0o077


def reached(data: Path, user: str) -> tuple[Path, Path | None]:
    """By which path the user reaches a folder, and the folder that it has to be started in.

    A user that owns nothing cannot walk through the private folders above DATA_DIR, such as /root.
    """
    if user != parent_death.DROPPED or parent_death.walkable(data):
        return data, None
    return HERE, data


def _ids(user: str) -> tuple[int, int]:
    dropped = user == parent_death.DROPPED
    return (parent_death.UNPRIVILEGED_UID,) * 2 if dropped else (os.geteuid(), os.getegid())
