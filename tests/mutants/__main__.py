"""`make mutants`: plants bugs in safety code, one at a time, and shows which test catches each.

The named tests of a bug are run first. With --whole, all tests are run where these pass. A bug that
no test catches survives, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants.catalogue import ROOT, Mutant, faults, load
from tests.mutants.servers import Servers, shared
from tests.mutants.tree import Tree

TEST_S = 90
"""How long one test may take. It catches a bug that makes a test hang."""
RUN_S = 600
WHOLE_S = 3600
CHECKS_OF_MUTANTS = "tests/unit/test_mutants.py"
"""Fails in every tree with a bug in it, whatever the bug."""

_FAILED = re.compile(r"^(FAILED|ERROR) (.+?)(?: - .*)?$", re.M)


class Verdict(NamedTuple):
    """What became of a bug."""

    mutant: Mutant
    caught_by: str
    """The first test that failed; empty where none did."""
    seconds: float
    note: str = ""

    @property
    def survived(self) -> bool:
        """Whether nothing caught it."""
        return not self.caught_by


class Unusable(Exception):
    """The run cannot tell anything about a bug."""


def main(arguments: Sequence[str]) -> int:
    """Plants and shows; 0 where each bug was caught."""
    options = _options(arguments)
    mutants = _chosen(load(), options.only, options.id)
    if options.list:
        for mutant in mutants:
            print(f"{mutant.rule:20} {mutant.id:45} {mutant.bug}")
        return 0
    if problems := faults(mutants):
        print("\n".join(problems), file=sys.stderr)
        return 2
    if not mutants:
        print("no mutant is chosen: see --list", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Tree(ROOT, Path(folder).resolve())
        tree.check(sys.executable)
        try:
            with shared(Path(folder)) as servers:
                tree.environment = tree.environment | servers.environment
                if not options.no_baseline:
                    _baseline(tree, mutants)
                return _all(tree, servers, mutants, whole=options.whole)
        except Unusable as error:
            print(f"mutants: {error}", file=sys.stderr)
            return 2


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="RULE", help="bugs of this rule")
    parser.add_argument("--id", action="append", metavar="ID", help="this bug")
    parser.add_argument("--list", action="store_true", help="show the bugs and plant none")
    parser.add_argument("--whole", action="store_true", help="run all tests where the named pass")
    parser.add_argument(
        "--no-baseline",
        action="store_true",
        help="do not run the named tests without any bug first",
    )
    return parser.parse_args(arguments)


def _chosen(
    mutants: Sequence[Mutant], rules: Sequence[str] | None, ids: Sequence[str] | None
) -> list[Mutant]:
    return [
        mutant
        for mutant in mutants
        if (rules is None or mutant.rule in rules) and (ids is None or mutant.id in ids)
    ]


def _baseline(tree: Tree, mutants: Sequence[Mutant]) -> None:
    """A test that fails without a bug catches nothing. Raises Unusable."""
    tests = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    began = time.monotonic()
    caught_by, note = _run(tree, list(tests), WHOLE_S)
    if caught_by:
        raise Unusable(f"{caught_by} fails without any bug planted {note}")
    seconds = time.monotonic() - began
    print(f"without a bug, the named tests pass: {len(tests)} in {seconds:.0f} s", flush=True)


def _all(tree: Tree, servers: Servers, mutants: Sequence[Mutant], *, whole: bool) -> int:
    verdicts = []
    print(f"{'rule':20} {'id':45} {'s':>4} caught by", flush=True)
    for mutant in mutants:
        servers.reset()
        verdict = _verdict(tree, mutant, whole=whole)
        verdicts.append(verdict)
        caught = verdict.caught_by or "SURVIVED"
        print(
            f"{mutant.rule:20} {mutant.id:45} {verdict.seconds:4.0f} {caught} {verdict.note}\n"
            f"{'':20} {mutant.bug}",
            flush=True,
        )
    survivors = [verdict.mutant for verdict in verdicts if verdict.survived]
    counts = Counter(mutant.rule for mutant in mutants)
    alive = Counter(mutant.rule for mutant in survivors)
    print()
    for rule, count in counts.items():
        print(f"{rule:20} {count - alive[rule]:3} of {count:3} caught")
    total_s = sum(verdict.seconds for verdict in verdicts)
    caught_count = len(mutants) - len(survivors)
    print(f"{'all':20} {caught_count:3} of {len(mutants):3} caught in {total_s:.0f} s")
    for mutant in survivors:
        print(f"survived: {mutant.id}: {mutant.bug}")
    return 1 if survivors else 0


def _verdict(tree: Tree, mutant: Mutant, *, whole: bool) -> Verdict:
    text = (tree.path / mutant.file).read_text(encoding="utf-8")
    began = time.monotonic()
    tree.write(mutant.file, mutant.applied(text))
    try:
        caught_by, note = _run(tree, mutant.tests, RUN_S)
        if not caught_by and whole:
            caught_by, note = _run(tree, ["tests", f"--ignore={CHECKS_OF_MUTANTS}"], WHOLE_S)
    finally:
        tree.write(mutant.file, text)
    return Verdict(mutant, caught_by, time.monotonic() - began, note)


def _run(tree: Tree, tests: Sequence[str], within_s: float) -> tuple[str, str]:
    """The first of these tests that fails, empty where none does, and what is special about it.

    Raises Unusable where the tests could not be run: a file that cannot be imported does not
    count as a failed test.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", f"--timeout={TEST_S}", *tests]
    try:
        ended = subprocess.run(
            command,
            cwd=tree.path,
            env=tree.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return tests[0], f"(hung for {error.timeout:.0f} s)"
    output = ended.stdout.decode(errors="replace")
    if ended.returncode == 0:
        return "", ""
    match = _FAILED.search(output)
    if ended.returncode != 1 or match is None or "::" not in match[2]:
        raise Unusable(f"pytest ended with {ended.returncode}:\n{output[-3000:]}")
    return match[2], "(timed out)" if "Timeout" in output else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
