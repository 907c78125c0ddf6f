"""Tests wait for states: what sleeps is in `tests/support/waits.py`, named by why it does."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
WAITS = TESTS / "support" / "waits.py"
FOLDERS = ("unit", "integration", "e2e", "faults", "support")


def sleeps(path: Path) -> list[str]:
    """The calls of `sleep`; `sleep(0)` only lets other tasks run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{path.relative_to(TESTS)}:{call.lineno}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("asyncio.sleep", "time.sleep")
        and ast.unparse(call.args[0]) != "0"
    ]


def test_no_test_sleeps_in_the_hope_that_something_has_happened() -> None:
    paths = [path for folder in FOLDERS for path in (TESTS / folder).rglob("*.py")]
    assert [line for path in paths if path != WAITS for line in sleeps(path)] == []
    assert len(sleeps(WAITS)) == 5
