"""All tests, in three groups side by side, each with servers of its own: most of them wait.

`make test ARGS=...` hands its arguments to one pytest instead.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
GROUPS = (
    ("tests/faults", "tests/unit"),
    ("tests/whole",),  # engines with all their processes, browsers
    ("tests", "--ignore=tests/faults", "--ignore=tests/unit", "--ignore=tests/whole"),
)


def main(arguments: list[str]) -> int:
    """Run pytest; 0 when everything passed."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--color=auto"]
    if arguments:
        return subprocess.call([*pytest, *arguments], cwd=ROOT.parent)
    *others, shown = GROUPS
    with contextlib.ExitStack() as stack:
        running = []
        for group in others:
            said = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [*pytest, *group], cwd=ROOT.parent, stdout=said, stderr=subprocess.STDOUT
            )
            stack.callback(_end, process)
            running.append((process, said))
        codes = [subprocess.call([*pytest, *shown], cwd=ROOT.parent)]
        for process, said in running:
            codes.append(process.wait())
            said.seek(0)
            sys.stdout.write(said.read().decode(errors="replace"))
            sys.stdout.flush()
    return next(filter(None, codes), 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
