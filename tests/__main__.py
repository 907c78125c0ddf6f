"""All tests: those of faults, which mostly wait, beside all others. Each half has its own servers.

`make test ARGS=...` hands its arguments to one pytest instead.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
HALVES = (("tests/faults",), ("tests", "--ignore=tests/faults"))


def main(arguments: list[str]) -> int:
    """Run pytest; 0 when everything passed."""
    pytest = [sys.executable, "-m", "pytest", "-q", "--color=auto"]
    if arguments:
        return subprocess.call([*pytest, *arguments], cwd=ROOT.parent)
    with tempfile.TemporaryFile() as kept:
        other = subprocess.Popen(
            [*pytest, *HALVES[0]], cwd=ROOT.parent, stdout=kept, stderr=subprocess.STDOUT
        )
        try:
            code = subprocess.call([*pytest, *HALVES[1]], cwd=ROOT.parent)
            other.wait()
        finally:
            if other.poll() is None:
                other.terminate()
                other.wait()
        kept.seek(0)
        sys.stdout.write(kept.read().decode(errors="replace"))
    return code or other.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
