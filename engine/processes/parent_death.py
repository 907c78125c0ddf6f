"""Starts a program that dies with its parent, whatever kills the parent. Run as a script.

`python -I -S parent_death.py SIGNAL PARENT USER PROGRAM ARGUMENT…` asks the kernel for SIGNAL when
PARENT is gone (PR_SET_PDEATHSIG), becomes USER, and turns into PROGRAM, keeping its pid. It is a
step of its own, not a `preexec_fn`, since threads of the parent may hold locks at the fork, and
since a user namespace can only be entered by a process with a single thread.

The kernel sends the signal when the parent's *thread* ends that made the child: start children
from the main thread. On other systems than Linux it is a plain exec.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
UNPRIVILEGED_UID = 65534
SEEN_UID = 1000

# Who a program runs as.
SELF = "self"  # the user of this process
NAMESPACE = "namespace"  # this user, seen as another one with a name: its files stay its own
DROPPED = "dropped"  # root became an unprivileged user, where namespaces are forbidden


def command(argv: Sequence[str | Path], death: signal.Signals, user: str = SELF) -> list[str]:
    """Returns the command that runs `argv` as `user` until it ends or this process does."""
    head = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*head, str(int(death)), str(os.getpid()), user, *map(str, argv)]


def has_name(uid: int) -> bool:
    """Whether the system has an entry for a user; initdb refuses one without."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def namespaces_allowed() -> bool:
    """Try, in a child, whether this user may enter a user namespace here."""
    import subprocess  # the script below has to start quickly

    probe = command(["/bin/true"], signal.SIGKILL, NAMESPACE)
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def walkable(path: Path) -> bool:
    """Whether a user that owns nothing can reach a path: each folder above it is open to all."""
    return all(folder.stat().st_mode & 0o001 for folder in path.absolute().parents)


def _become(user: str, libc: ctypes.CDLL) -> None:
    if user == NAMESPACE:
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        seen = _seen_uid()
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{seen} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{seen} {gid} 1")
    elif user == DROPPED:
        os.setgroups([])
        os.setgid(UNPRIVILEGED_UID)
        os.setuid(UNPRIVILEGED_UID)


def _seen_uid() -> int:
    """The user that a namespace shows: not root, and with a name where the system has one.

    Not the unprivileged user either: all foreign files appear to be that user's.
    """
    if has_name(SEEN_UID):
        return SEEN_UID
    uids = (entry.pw_uid for entry in pwd.getpwall())
    return max((uid for uid in uids if 0 < uid < UNPRIVILEGED_UID), default=SEEN_UID)


def main() -> None:
    """Be the program named by the arguments."""
    death, parent, user, *argv = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _become(user, libc)
    except OSError as error:
        sys.exit(f"cannot start {argv[0]} as the user {user!r}: {error}")
    # After the change of user, which would clear it.
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("leash: the parent is gone already")
    os.execv(argv[0], argv)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
