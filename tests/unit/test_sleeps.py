"""Tests wait for states: what sleeps is in `tests/support/waits.py`, named by why it does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WAITS = TESTS / "support" / "waits.py"
FOLDERS = ("unit", "integration", "e2e", "faults", "mutants", "support")
CALLS = ("sleep", "sleep_ms", "wait_for_timeout")
"""Of asyncio, time and other libraries, and of a browser's page; by any way of importing them."""
PICTURES = ("e2e/test_screenshots.py",)
"""Its pauses are for what a picture shows, and no assertion depends on them."""


def sleeps(text: str) -> list[int]:
    """The lines that sleep; `sleep(0)` only lets other tasks run."""
    tree = ast.parse(text)
    names = set(CALLS) | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in CALLS and alias.asname
    }
    return [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in names
        and [ast.unparse(value) for value in (*call.args, *(k.value for k in call.keywords))]
        != ["0"]
    ]


def test_no_test_sleeps_in_the_hope_that_something_has_happened() -> None:
    paths = [path for folder in FOLDERS for path in (TESTS / folder).rglob("*.py")]
    paths = [path for path in (*paths, TESTS / "conftest.py") if path != WAITS]
    assert len(paths) > 200
    assert [
        f"{name}:{line}"
        for path in paths
        if (name := path.relative_to(TESTS).as_posix()) not in PICTURES
        for line in sleeps(path.read_text(encoding="utf-8"))
    ] == []
    assert len(sleeps(WAITS.read_text(encoding="utf-8"))) == 5


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0.1)", [3]),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", []),
        ("import time\ntime.sleep(1)", [2]),
        ("import time as t\nt.sleep(1)", [2]),
        ("import asyncio\nasyncio.sleep(delay=1)", [2]),
        ("from time import sleep\nsleep(1)", [2]),
        ("from asyncio import sleep as pause\npause(1)", [2]),
        ("page.tab.wait_for_timeout(300)", [1]),
        ("code = 'import time; time.sleep(60)'", []),
    ],
)
def test_every_way_to_sleep_is_recognised(text: str, lines: list[int]) -> None:
    assert sleeps(text) == lines
