"""All tests, file by file in TEST_LANES processes side by side (2), each with servers of its own.

`make test ARGS=...` hands its arguments to one pytest instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONG = ("faults", "e2e")
"""Folders of whole engines. Their files come first, so that the lanes end together."""


def main(arguments: list[str]) -> int:
    """Run pytest; 0 when everything passed."""
    return subprocess.call([sys.executable, "-m", "pytest", "-q", *(arguments or _all())], cwd=ROOT)


def _all() -> list[str]:
    # Servers that the tests did not start are one for all lanes, and each test empties them.
    alone = os.environ.get("TEST_BACKEND") == "external"
    lanes = "1" if alone else os.environ.get("TEST_LANES", "2")
    side_by_side = ["-n", lanes, "--dist", "loadfile", "--no-loadscope-reorder"]
    folders = [path for path in ROOT.glob("tests/*") if any(path.rglob("test_*.py"))]
    folders.sort(key=lambda path: (path.name not in LONG, path.name))
    paths = [str(path.relative_to(ROOT)) for path in folders]
    return [*paths, "--color=auto", *(side_by_side if lanes != "1" else [])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
