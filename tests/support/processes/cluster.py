"""A Postgres cluster that a lane of tests makes once: each engine starts on a copy of it.

`initdb` takes 0.6 s of CPU time, and a durable one waits for the disk. A copy takes a tenth.
`tests/e2e/test_embedded.py` and `.ci/matrix.py` are about folders that hold no cluster yet.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.embedded import databases
from engine.embedded.data_dir import Folder

_kept: list[Path] = []
NAME = "postgres"


def keep_in(folder: Path) -> None:
    """Names the folder of this lane. Without it, as in benchmarks, each engine makes its own."""
    _kept[:] = [folder]


def lay(data_dir: Path) -> None:
    """Puts a copy into a new DATA_DIR. What holds a cluster already keeps it."""
    if not _kept or (data_dir / NAME).exists():
        return
    [kept] = _kept
    if not (kept / NAME).exists():
        with Folder(kept) as folder:
            servers = databases.prepare(
                folder, databases.Options(servers=(NAME,), postgres=databases.FAST.postgres)
            )
            servers.clean()
    data_dir.mkdir(parents=True, exist_ok=True)
    # The owner is kept, who may be another user than this one: Postgres refuses to be root.
    subprocess.run(["cp", "-Rp", kept / NAME, data_dir / NAME], check=True)
