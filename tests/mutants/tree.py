"""A copy of the working tree, into which bugs are planted one at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HANG_S = 20
"""How long a test waits for what a bug keeps from coming: many are caught by just that. Without a
bug the same tests have to pass within it."""

PACKAGES = ("engine", "events", "gateway", "projections", "stages", "tests")


class Tree:
    """The copy. The tests of a copy import the copy: `check` proves it."""

    def __init__(self, source: Path, path: Path) -> None:
        self.path = path
        self.environment: dict[str, str] = os.environ | {
            "PYTHONPATH": str(path),
            "TEST_HANG_S": str(HANG_S),
        }
        """Of the tests: the copy comes before the project that the interpreter has installed."""
        self._written_s = 0
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=source, stdout=subprocess.PIPE, check=True).stdout
        for name in listed.decode().split("\0"):
            if name and (source / name).is_file():
                target = path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / name, target)

    def check(self, python: str) -> None:
        """Raises RuntimeError where Python would import a package of the project from elsewhere."""
        code = "import sys, importlib.util as u; [print(u.find_spec(n).origin or"
        code += " u.find_spec(n).submodule_search_locations[0]) for n in sys.argv[1:]]"
        command = [python, "-c", code, *PACKAGES]
        listed = subprocess.run(
            command, cwd=self.path, env=self.environment, stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        for line in listed.splitlines():
            if not Path(line).is_relative_to(self.path):
                raise RuntimeError(f"the tests would import {line}")

    def write(self, file: str, text: str) -> None:
        """Replaces a file. Each time has its own second, or old bytecode might count as new."""
        path = self.path / file
        newest_s = int(path.stat().st_mtime)
        path.write_text(text, encoding="utf-8")
        self._written_s = max(self._written_s, newest_s) + 1
        os.utime(path, (self._written_s, self._written_s))
