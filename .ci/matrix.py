"""`make run` as a stranger does it: each Python of this machine, root and not, odd paths.

A leg copies the tree, runs `make run` until the ready line, posts an order and sees it confirmed on
the local chain, kills the engine with SIGKILL, starts it again, finds the order, and stops it with
Ctrl-C. After both ends nothing may be left running. Standard library only: it runs before
anything is installed.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
UNPRIVILEGED_UID = 65534
SET_UP_S, READY_S, CONFIRMED_S, GONE_S = 600, 60, 30, 5


class Leg(NamedTuple):
    """One way to run it."""

    python: str
    uid: int
    folder: str  # below a folder that is 0700


class FailureError(Exception):
    """A leg that did not hold."""


def pythons() -> Iterator[str]:
    """Yield the interpreters to try: our own, and others that this machine has."""
    yield sys.executable
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in {"3.11", "3.12", "3.13"} - {own}:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        interpreters = [*map(str, sorted(pyenv.glob(f"{version}.*/bin/python3")))]
        if path := shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin"):
            interpreters.append(path)
        yield from interpreters[-1:]


def legs() -> Iterator[Leg]:
    """Yield the combinations: each Python as ourselves, and as a normal user where it may run."""
    interpreters = list(pythons())
    for number, python in enumerate(interpreters):
        yield Leg(python, os.getuid(), "a path with spaces" if number == 0 else "plain")
    if os.getuid() == 0:
        open_to_all = [
            p for p in [*interpreters, "/usr/bin/python3"] if may_run(p, UNPRIVILEGED_UID)
        ]
        for python in open_to_all[:2]:
            yield Leg(python, UNPRIVILEGED_UID, "a path with spaces")


def may_run(python: str, uid: int) -> bool:
    """Tell whether a user can run an interpreter, and it is new enough."""
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", code], check=False, **as_user(uid)).returncode == 0
    return False


def as_user(uid: int) -> dict[str, Any]:
    """Return the arguments of `subprocess` that drop root."""
    if uid == os.getuid():
        return {}
    return {"user": uid, "group": uid, "extra_groups": []}


def copy_tree(to: Path) -> None:
    """Copy what git knows or would add, not what was installed or made."""
    listed = ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def give(folder: Path, uid: int) -> None:
    """Make a tree a user's own."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid if uid else -1)


class Engine:
    """`make run` in a folder."""

    def __init__(self, leg: Leg, folder: Path, port: int) -> None:
        home = folder.parent / "home"
        environ = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "PORT": str(port)}
        for name in ("MAKEFLAGS", "VENUES", "SOLANA_RPC_URL", "DATA_DIR"):
            environ.pop(name, None)
        self.folder = folder
        self.errors = (folder.parent / "stderr").open("ab")
        self.process = subprocess.Popen(
            ["make", f"PYTHON={leg.python}", "run"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
            **as_user(leg.uid),
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ready(self, within_s: float) -> str:
        """Wait for the one line on stdout; return the address in it."""
        try:
            line = self.lines.get(timeout=within_s)
        except queue.Empty:
            line = ""
        if not line.startswith("ready http://"):
            text = (self.folder.parent / "stderr").read_text(errors="replace")[-3000:]
            msg = f"no ready line but {line!r}; stderr ends with:\n{text}"
            raise FailureError(msg)
        return line.split()[1]

    def end(self, how: signal.Signals) -> None:
        """Signal it as a terminal would, and see everything gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        deadline = time.monotonic() + GONE_S + 0.5
        while left := self.left():
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                msg = f"left running after {how.name}: {left}"
                raise FailureError(msg)
            time.sleep(0.05)
        self.process.wait()
        self.errors.close()

    def left(self) -> list[int]:
        """Return the processes that have something to do with the folder."""
        pids = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                started = (entry / "cmdline").read_bytes()
                where = bytes((entry / "cwd").readlink())
                if os.fsencode(self.folder) in started or where.startswith(
                    os.fsencode(self.folder)
                ):
                    pids.append(int(entry.name))
        return pids


def call(url: str, body: object = None) -> dict[str, Any]:
    """GET, or POST a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        answered: dict[str, Any] = json.load(answer)
        return answered


def see_confirmed(url: str, order_id: str) -> None:
    """Wait until an order is confirmed, through pools of a chain."""
    deadline = time.monotonic() + CONFIRMED_S
    while (order := call(f"{url}/api/orders/{order_id}"))["status"] != "confirmed":
        if time.monotonic() > deadline:
            msg = f"the order is not confirmed: {order}"
            raise FailureError(msg)
        time.sleep(0.05)
    if not order["legs"]:
        msg = f"the order went through no pool: {order}"
        raise FailureError(msg)


def run(leg: Leg, top: Path) -> None:
    """Run one leg in a folder of its own."""
    folder = top / "private" / leg.folder
    for path in (folder, folder.parent / "home"):
        path.mkdir(parents=True)
    copy_tree(folder)
    folder.parent.chmod(0o700)
    give(folder.parent, leg.uid)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]

    engine = Engine(leg, folder, port)
    try:
        url = engine.ready(SET_UP_S)
        order = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
        order_id = call(f"{url}/api/orders/execute", order)["orderId"]
        see_confirmed(url, order_id)
        engine.end(signal.SIGKILL)
        engine = Engine(leg, folder, port)
        see_confirmed(engine.ready(READY_S), order_id)
    finally:
        engine.end(signal.SIGINT)


def main() -> int:
    """Run all legs; the exit code is 1 if one failed."""
    passed = failed = 0
    for leg in legs():
        began = time.monotonic()
        name = f"{leg.python} as uid {leg.uid} in {leg.folder!r}"
        with tempfile.TemporaryDirectory(prefix="matrix-") as top:
            Path(top).chmod(0o755)
            try:
                run(leg, Path(top))
            except (FailureError, OSError) as error:
                failed += 1
                print(f"FAILED {name}: {error}", flush=True)
            else:
                passed += 1
                print(f"ok     {name} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"matrix: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
