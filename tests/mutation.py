"""`make mutation`: lets mutmut change the pure modules, and shows what no unit test notices.

Which modules and which tests is said in pyproject.toml. What may survive is listed, each with its
reason, in `mutants/equivalent.toml`; anything else is shown as a diff, and the exit code is 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants.catalogue import ROOT
from tests.mutants.tree import Tree

EQUIVALENT = ROOT / "tests" / "mutants" / "equivalent.toml"
SURVIVED = "survived"


class Survivor(NamedTuple):
    """A change that no test noticed."""

    name: str
    """mutmut's: module, function and number."""
    diff: str

    @property
    def function(self) -> str:
        """Of the code, such as `events.money.price`."""
        module, _, function = self.name.partition("__mutmut_")[0].rpartition(".")
        return f"{module}.{function.removeprefix('x_').replace('xǁ', '').replace('ǁ', '.')}"

    @property
    def added(self) -> str:
        """The lines that it puts there, as one text without blanks around."""
        lines = [line[1:].strip() for line in self.diff.splitlines() if line.startswith("+")]
        return "\n".join(line for line in lines if not line.startswith("++"))


def main(arguments: Sequence[str]) -> int:
    """Runs mutmut on a copy of the tree, with its arguments; 0 where each survivor is explained."""
    known = explained()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        tree = Tree(ROOT, Path(folder).resolve())
        _mutmut(tree, "run", *arguments, shown=True)
        listed = _mutmut(tree, "results").splitlines()
        names = [line.split(":")[0].strip() for line in listed if line.endswith(SURVIVED)]
        survivors = [Survivor(name, _mutmut(tree, "show", name)) for name in names]
    unexplained = [one for one in survivors if (one.function, one.added) not in known]
    for survivor in unexplained:
        print(f"{survivor.name}\n{survivor.diff}")
    print(f"{len(survivors)} survived, {len(unexplained)} of them for no reason that is listed")
    return 1 if unexplained else 0


def explained(path: Path = EQUIVALENT) -> dict[tuple[str, str], str]:
    """(Function, added lines) -> why it changes nothing that is promised."""
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    return {(one["function"], one["added"].strip()): one["reason"] for one in listed}


def _mutmut(tree: Tree, *words: str, shown: bool = False) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    ended = subprocess.run(
        command, cwd=tree.path, env=os.environ, check=False, text=True,
        stdout=None if shown else subprocess.PIPE,
    )  # fmt: skip
    if ended.returncode:
        raise SystemExit(f"mutmut {' '.join(words)} ended with {ended.returncode}")
    return ended.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
