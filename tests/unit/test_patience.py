"""Every bound of a backend's answer is long in tests: one that is missing fails under load."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import BOUNDS, DEFAULTS

ROOT = Path(__file__).parents[2]
ROOMS = ("events", "gateway", "projections")
TIMERS = ("asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for")
BOUNDED = ("logged", "reading_log", "writing_log", "self._done")
"""Functions of the gateway that take such a bound by its place."""
OWN_BOUNDS = {
    ("gateway.app", "SHUTDOWN_S"): "ends connections of a gateway that stops",
    ("gateway.streaming.sse", "SHUTDOWN_S"): "ends connections of a gateway that stops",
    ("gateway.streaming.websocket", "SHUTDOWN_S"): "ends connections of a gateway that stops",
    ("projections.postgres.projector", "STOP_S"): "ends a projector that stops",
    ("projections.postgres.session", "STOP_S"): "ends a projector that stops",
    ("projections.traces.exporter", "PAUSE_S"): "a pause, after which work continues",
    ("events.log.inbox", "WATCHDOG_S"): "added to the time that a read may block",
    ("events.log.pair_leases", "WATCHDOG_S"): "added to the time that a read may block",
    ("events.log.reader", "WATCHDOG_S"): "added to the time that a read may block",
}
"""Bounds that tests keep, and why."""


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that bound a wait: arguments of timers, and defaults of `timeout`."""
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) in (*TIMERS, *BOUNDED):
            yield from node.args
        yield from (word.value for word in node.keywords if "timeout" in (word.arg or ""))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        named = node.args
        positional = named.args[len(named.args) - len(named.defaults) :]
        pairs = [*zip(positional, named.defaults, strict=True)]
        pairs += [
            (name, default)
            for name, default in zip(named.kwonlyargs, named.kw_defaults, strict=True)
            if default is not None
        ]
        yield from (default for name, default in pairs if "timeout" in name.arg)


def bounds(source: str) -> set[str]:
    """The constants that bound a wait in a module."""
    return {
        name.id
        for node in ast.walk(ast.parse(source))
        for expression in _expressions(node)
        for name in ast.walk(expression)
        if isinstance(name, ast.Name) and name.id.isupper()
    }


@pytest.mark.parametrize(
    "source",
    [
        "async with asyncio.timeout(LOAD_S): pass",
        "await asyncio.wait_for(x(), 2 * LOAD_S)",
        "await pool.acquire(timeout=LOAD_S)",
        "async def f(a, timeout_s: float = LOAD_S): pass",
        "def f(*, command_timeout: float = LOAD_S): pass",
    ],
)
def test_a_bound_of_a_wait_is_recognised(source: str) -> None:
    assert bounds(source) == {"LOAD_S"}


def test_every_bound_of_an_answer_is_long_in_tests_or_has_a_reason() -> None:
    defaults = {(f.__module__, f.__qualname__) for f in DEFAULTS}
    of_defaults = {module for module, _ in defaults}
    in_code = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for name in bounds(path.read_text())
    }
    known = {(module, name) for module, names in BOUNDS.items() for name in names}
    missing = {
        (module, name)
        for module, name in in_code - known - OWN_BOUNDS.keys()
        if module not in of_defaults
    }
    assert not missing, f"add them to tests/support/patience.py: {sorted(missing)}"
    assert not OWN_BOUNDS.keys() - in_code, "no such bound any more"
