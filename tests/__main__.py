"""All tests, in groups with servers of their own: two side by side, then kills and faults alone.

`make test ARGS=...` hands its arguments to one pytest instead. TEST_LANES=1: one group at a time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
BESIDE = ("tests/whole",)
"""Engines with all their processes, and browsers: most of them wait."""
SHOWN = ("tests", "--ignore=tests/faults", "--ignore=tests/whole")
ALONE = ("tests/faults",)
"""Processes that are killed and started again: their bounds are of a machine that has time."""

ALL = (SHOWN, BESIDE, ALONE)


def main(arguments: list[str]) -> int:
    """Run pytest; 0 when everything passed."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--color=auto"]
    if arguments:
        return subprocess.call([*pytest, *arguments], cwd=ROOT.parent)
    if os.environ.get("TEST_LANES") == "1":  # a machine that others use too
        codes = [subprocess.call([*pytest, *group], cwd=ROOT.parent) for group in ALL]
        return next(filter(None, codes), 0)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            [*pytest, *BESIDE], cwd=ROOT.parent, stdout=output, stderr=subprocess.STDOUT
        )
        stack.callback(_end, process)
        codes = [subprocess.call([*pytest, *SHOWN], cwd=ROOT.parent), process.wait()]
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
        sys.stdout.flush()
    codes.append(subprocess.call([*pytest, *ALONE], cwd=ROOT.parent))
    return next(filter(None, codes), 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
