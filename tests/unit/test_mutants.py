"""The planted bugs fit the code as it is: `make mutants` is what plants them, one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.mutants.catalogue import LEAST, ROOT, Mutant, faults, load
from tests.mutants.tree import Tree

RULES = {
    "amend", "append", "authorization", "budget", "cancel", "chain", "death", "due_set", "expiry",
    "feed", "halt", "idempotency", "leases", "losses", "outputs", "pacing", "projector", "rates",
    "rebroadcast", "rebuild", "repair", "secrets", "signatures", "slow_readers", "supervisor",
    "triggers", "trim",
}  # fmt: skip
SOUND = Mutant("id", "rule", "A bug.", "a.py", "return 1", "return 2", ["test_a.py::test_it"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree that `SOUND` fits."""
    (tmp_path / "a.py").write_text("def a():\n    return 1\n")
    (tmp_path / "test_a.py").write_text("def test_it() -> None:\n    pass\n")
    return tmp_path


def test_every_planted_bug_fits_the_code_and_names_its_tests() -> None:
    assert faults(load()) == []


def test_every_safety_rule_has_planted_bugs() -> None:
    mutants = load()
    assert len(mutants) >= LEAST
    assert {mutant.rule for mutant in mutants} == RULES


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"file": "b.py"}, "there is no b.py"),
        ({"old": "return 3"}, "its old text stands 0 times in a.py"),
        ({"old": "r"}, "its old text stands 2 times in a.py"),
        ({"new": "return 1"}, "it changes nothing"),
        ({"new": "return ("}, "a.py cannot be parsed any more"),
        ({"tests": []}, "it names no test"),
        ({"tests": ["test_a.py::test_other"]}, "there is no test test_a.py::test_other"),
        ({"tests": ["test_b.py"]}, "there is no test test_b.py"),
    ],
)
def test_a_planted_bug_that_does_not_fit_the_code_is_reported(
    root: Path, change: dict[str, object], fault: str
) -> None:
    text = "; ".join(faults([replace(SOUND, **change)], root))
    assert (fault in text) if fault else not text


def test_two_planted_bugs_with_one_id_are_refused(root: Path) -> None:
    assert faults([SOUND, SOUND], root) == ["id: 2 mutants have this id"]


def test_a_file_that_is_planted_and_restored_is_never_taken_for_its_old_bytecode(
    tmp_path: Path,
) -> None:
    tree = Tree.__new__(Tree)
    tree.path, tree._written_s = tmp_path, 0
    path = tmp_path / "a.py"
    path.write_text("a = 1\n")
    seconds = [int(path.stat().st_mtime)]
    for text in ("a = 2\n", "a = 1\n", "a = 3\n"):
        tree.write("a.py", text)
        seconds.append(int(path.stat().st_mtime))
        assert path.read_text() == text
    assert len(set(seconds)) == 4
    assert ROOT.joinpath("tests", "mutants").is_dir()
