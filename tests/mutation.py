"""`make mutation`: lets mutmut change the pure modules, and shows what no unit test notices.

pyproject.toml lists the modules and the tests. What survives is for people to read, and so
is what none of these tests reaches. `tests/mutants/equivalent.md` names the changes that were read
and that no test can notice; any other one is a missing test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import ROOT
from tests.mutants.tree import Tree

UNNOTICED = ("survived", "no tests")


def main(arguments: Sequence[str]) -> int:
    """Runs mutmut on a copy of the tree, with its arguments; prints what no test noticed."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        tree = Tree(ROOT, Path(folder).resolve())
        _mutmut(tree, "run", *arguments, shown=True)
        listed = _mutmut(tree, "results").splitlines()
        names = [line.split(":")[0].strip() for line in listed if line.endswith(UNNOTICED)]
        for name in names:
            print(_mutmut(tree, "show", name))
    print(f"{len(names)} changes were noticed by no test")
    return 0


def _mutmut(tree: Tree, *words: str, shown: bool = False) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    output = None if shown else subprocess.PIPE
    ended = subprocess.run(command, cwd=tree.path, check=False, text=True, stdout=output)
    if ended.returncode:
        raise SystemExit(f"mutmut {' '.join(words)} ended with {ended.returncode}")
    return ended.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
