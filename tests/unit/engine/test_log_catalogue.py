"""Every line that a process logs is in the catalogue, with its level, and its errors are text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.telemetry.catalogue import LEVELS, LINES, by_name

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("engine", "events", "gateway", "projections", "stages")
METHODS = {
    "debug": "debug", "info": "info", "warning": "warning", "warn": "warning", "error": "error",
    "exception": "error", "critical": "critical", "fatal": "critical", "msg": "info", "log": "",
}  # fmt: skip
WRITTEN_BY_RENDERERS = {"process_failed", "process_output", "library_message"}
"""Events that no call of a logger names: they are made of the text of others."""


class Call(NamedTuple):
    """One call of a logger."""

    where: str
    level: str
    node: ast.Call


def is_logger(node: ast.expr) -> bool:
    """Whether an expression is a structlog logger by its name, or is bound or got here."""
    match node:
        case ast.Name(id="log" | "_log" | "logger" | "_logger"):
            return True
        case ast.Call(func=ast.Attribute(attr="get_logger")):
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr="bind" | "new")):
            return is_logger(inner)
    return False


def calls_of(source: str, file: str = "x.py") -> Iterator[Call]:
    """Every call of a logger in a file that uses structlog."""
    if "structlog" not in source:
        return
    tree = ast.parse(source)
    # A parameter called `log` is an event log; those are entered by `append` and the like.
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if is_logger(value):
                if method in METHODS:
                    yield Call(f"{file}:{node.lineno}", METHODS[method], node)
            case (
                ast.Assign(value=ast.IfExp() as chosen)
                | ast.Assign(value=ast.Attribute() as chosen)
            ):
                for part in ast.walk(chosen):
                    if isinstance(part, ast.Attribute) and is_logger(part.value):
                        yield Call(f"{file}:{part.lineno}", "?", ast.Call(part, [], []))


def faults_of(call: Call) -> Iterator[str]:
    """What is wrong with a call."""
    match call.node.args:
        case [ast.Constant(value=str(name))]:
            line = by_name().get(name)
            if line is None:
                yield f"{call.where}: {name} is not in the catalogue"
            elif line.level != call.level:
                yield f"{call.where}: {name} is {line.level}, logged as {call.level}"
        case _:
            yield f"{call.where}: the event is not a literal"
    for keyword in call.node.keywords:
        for part in ast.walk(keyword.value):
            match part:
                case ast.Call(func=ast.Name(id="repr")) | ast.FormattedValue(conversion=114):
                    yield f"{call.where}: `{keyword.arg}` is a repr"


def all_calls() -> list[Call]:
    return [
        call
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for call in calls_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]


def test_every_log_call_is_in_the_catalogue_with_its_level() -> None:
    calls = all_calls()
    assert len(calls) > 90
    assert [fault for call in calls for fault in faults_of(call)] == []


def test_every_event_of_the_catalogue_is_logged_somewhere() -> None:
    logged = {
        arg.value
        for call in all_calls()
        for arg in call.node.args[:1]
        if isinstance(arg, ast.Constant)
    }
    assert logged | WRITTEN_BY_RENDERERS == set(by_name())


def test_names_and_levels_of_the_catalogue_are_plain() -> None:
    names = [name for lines in LINES.values() for name in lines]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and name.islower() for name in names)
    assert {line.level for line in by_name().values()} <= {*LEVELS, ""}


@pytest.mark.parametrize(
    "source",
    [
        "import structlog\n_log = structlog.get_logger()\n_log.info('order parked')",
        "import structlog\nstructlog.get_logger().info('order_parked')",
        "import structlog\nlog.warning(name)",
        "import structlog\n_log.error('order_parked', error=repr(error))",
        "import structlog\n_log.error('order_parked', error=f'{error!r}')",
        "import structlog\ntell = _log.info if quiet else _log.warning\ntell('order_parked')",
    ],
)
def test_a_call_beside_the_catalogue_is_a_fault(source: str) -> None:
    assert [fault for call in calls_of(source) for fault in faults_of(call)]
