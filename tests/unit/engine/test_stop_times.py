"""The parts of a stop fit into the whole, and a constant that breaks this fails at import."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from engine.composition import stop_times
from engine.composition.stop_times import StopTime, check_fits
from engine.processes import lifecycle, supervisor
from gateway import app
from gateway.streaming import sse, websocket
from projections.postgres import session
from stages.runtime import runner
from stages.triggers import runner as triggers

PROCESS = StopTime("a process", 2.0)

TOO_LONG: dict[str, tuple[Any, str, float, str]] = {
    "event streams": (sse, "SHUTDOWN_S", 1.0, "gateway"),
    "sockets": (websocket, "SHUTDOWN_S", 1.5, "gateway"),
    "requests": (app, "SHUTDOWN_S", 1.2, "gateway"),
    "orders in hand": (runner, "STOP_S", 1.1, "stages"),
    "orders put back": (runner, "LEAVE_S", 1.1, "stages"),
    "pairs given back": (triggers, "LEAVE_S", 2.0, "stages"),
    "the batch of the projector": (session, "STOP_S", 2.1, "projector"),
}
"""What takes too long: module, constant, seconds, and the process whose file refuses it."""


@pytest.mark.parametrize("case", TOO_LONG)
def test_a_stop_time_that_does_not_fit_ends_the_import_of_its_process(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, constant, seconds, process = TOO_LONG[case]
    entry = importlib.import_module(f"engine.composition.{process}")
    importlib.reload(entry)
    monkeypatch.setattr(module, constant, seconds)
    with pytest.raises(AssertionError, match="must end before a process"):
        importlib.reload(entry)


def test_a_supervisor_that_kills_too_early_ends_the_import_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = importlib.import_module("engine.commands.up")
    monkeypatch.setattr(supervisor, "STOP_S", lifecycle.STOP_PATIENCE_S)
    with pytest.raises(AssertionError, match="before a group of processes"):
        importlib.reload(entry)


def test_parts_may_take_all_of_the_time_only_where_no_margin_is_needed() -> None:
    parts = (StopTime("one half", 1.0), StopTime("the other", 1.0))
    check_fits(parts, PROCESS, margin=False)
    with pytest.raises(AssertionError, match=r"one half \(1.0 s\) \+ the other \(1.0 s\)"):
        check_fits(parts, PROCESS)


def test_the_process_stop_time_equals_the_patience_of_the_lifecycle() -> None:
    assert stop_times.PROCESS.seconds == lifecycle.STOP_PATIENCE_S
