"""The planted bugs: one file of `rules/` a safety rule, one table a bug.

A bug is a replacement of one piece of text in one file, such as a colleague might make by mistake,
and the tests that are expected to fail of it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
RULES = Path(__file__).parent / "rules"
LEAST = 120
"""Fewer bugs than this do not cover the rules."""


class Mutant(msgspec.Struct, frozen=True):
    """One planted bug."""

    id: str
    rule: str
    """Name of the file that holds it."""
    bug: str
    """What is wrong, in one sentence."""
    file: str
    old: str
    new: str
    tests: list[str]
    """Paths of test files or of single tests, `tests/…/test_x.py::test_y`."""

    def applied(self, text: str) -> str:
        """The file's text with the bug in it."""
        return text.replace(self.old, self.new)


class _Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    bug: str
    file: str
    old: str
    new: str
    tests: list[str]


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mutant: list[_Bug]


def load(folder: Path = RULES) -> list[Mutant]:
    """All planted bugs, by rule. Raises msgspec.ValidationError for a malformed file."""
    mutants = []
    for path in sorted(folder.glob("*.toml")):
        rule = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Rule)
        mutants += [Mutant(rule=path.stem, **msgspec.structs.asdict(bug)) for bug in rule.mutant]
    return mutants


def faults(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """What keeps mutants from meaning what they say, one line each."""
    lines = [
        f"{name}: {count} mutants have this id"
        for name, count in Counter(mutant.id for mutant in mutants).items()
        if count > 1
    ]
    for mutant in mutants:
        lines += [f"{mutant.id}: {fault}" for fault in _faults_of(mutant, root)]
    return lines


def _faults_of(mutant: Mutant, root: Path) -> list[str]:
    path = root / mutant.file
    if not path.is_file():
        return [f"there is no {mutant.file}"]
    text = path.read_text(encoding="utf-8")
    lines = []
    if (times := text.count(mutant.old)) != 1:
        lines.append(f"its old text stands {times} times in {mutant.file}")
    if mutant.old == mutant.new:
        lines.append("it changes nothing")
    if path.suffix == ".py":
        try:
            ast.parse(mutant.applied(text))
        except SyntaxError as error:
            lines.append(f"{mutant.file} cannot be parsed any more: {error}")
    if not mutant.tests:
        lines.append("it names no test")
    return lines + [f"there is no test {test}" for test in mutant.tests if not _exists(test, root)]


def _exists(test: str, root: Path) -> bool:
    file, _, name = test.partition("::")
    path = root / file
    if not path.is_file():
        return False
    if not name:
        return True
    return re.search(rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.M) is not None
