"""What is logged again and again is logged seldom, and counted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import structlog

from engine.telemetry import logging as ours
from engine.telemetry.catalogue import by_name
from engine.telemetry.logging import KEPT, Repeats


class Lines:
    """A logger's processor under a clock of the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self._repeats = Repeats(10, lambda: self.now)

    def log(self, event: str, **about: object) -> dict[str, object] | None:
        try:
            return dict(self._repeats(None, "warning", {"event": event} | about))
        except structlog.DropEvent:
            return None


def test_an_outage_is_logged_at_once_and_then_every_ten_seconds_with_a_count() -> None:
    lines, result = Lines(), []
    for tenth in range(300):
        lines.now = tenth / 10
        if (line := lines.log("log_awaited", error="refused")) is not None:
            result.append((lines.now, line.get("repeated")))
    assert result == [(0.0, None), (10.0, 99), (20.0, 99)]


def test_a_line_with_other_values_is_logged_at_once() -> None:
    lines = Lines()
    assert lines.log("log_awaited", error="refused")
    assert lines.log("log_awaited", error="loading")
    assert lines.log("log_awaited", error="refused") is None
    assert lines.log("order_parked", order_id="1")
    assert lines.log("order_parked", order_id="2")


def test_no_traceback_is_dropped() -> None:
    lines = Lines()
    assert lines.log("a bug", exc_info=True)
    assert lines.log("a bug", exc_info=True)


def test_the_memory_of_repeated_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.telemetry.logging.KEPT", 3)
    lines = Lines()
    for number in range(KEPT):
        assert lines.log("order_parked", order_id=str(number))
    assert lines.log("order_parked", order_id="0")
    assert len(lines._repeats._counts) == 3


def test_exceptions_are_logged_in_tests_as_by_the_processes() -> None:
    """Without rich, which takes a second to draw the variables of every frame."""
    assert vars(structlog.dev)["rich"] is None


NOISE = r"""
import asyncio, gc, logging, sys, threading, warnings
from engine.settings_loader import load
from engine.telemetry import logging as ours
ours.configure(load({"LOG_FORMAT": "json"}, None), "router")

class Doomed:
    def __del__(self):
        raise ValueError("in a destructor")

async def broken():
    raise ValueError("in a task")

async def main():
    task = asyncio.create_task(broken())
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
    broken()
    gc.collect()

asyncio.run(main())
Doomed()
logging.getLogger("library").error("several\nlines")
warnings.warn("odd")
threading.Thread(target=lambda: 1 / 0).start()
raise RuntimeError("at the end")
"""


def test_whatever_python_itself_prints_is_a_json_object_a_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", NOISE], capture_output=True, check=False, text=True
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert all({"event", "level", "timestamp", "process"} <= line.keys() for line in lines)
    assert all(line["event"] in by_name() for line in lines)
    text = " ".join(line.get("text", "") for line in lines)
    for words in ("exception was never retrieved", "several", "odd", "never awaited"):
        assert words in text
    assert [line["event"] for line in lines].count("exception_uncaught") == 2
    [ignored] = [line for line in lines if line["event"] == "exception_ignored"]
    assert (ignored["level"], ignored["where"]) == ("warning", "Doomed.__del__")
    assert ignored["exception"][0]["exc_value"] == "in a destructor"


def test_a_program_that_says_the_same_again_is_forwarded_once_and_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = ours._Output()
    now = 0.0
    monkeypatch.setattr(output, "_repeats", Repeats(10, lambda: now))
    line = {"event": "process_output", "process": "valkey", "level": "warning", "text": "full"}
    own = {"event": "order_failed", "process": "router", "level": "info"}
    for second in range(3):
        now = 5.0 * second
        output.write(line | {"timestamp": f"t{second}"})
        output.write(own | {"timestamp": f"t{second}"})
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [(x["event"], x["timestamp"], x.get("repeated")) for x in lines] == [
        ("process_output", "t0", None),
        ("order_failed", "t0", None),
        ("order_failed", "t1", None),
        ("process_output", "t2", 1),
        ("order_failed", "t2", None),
    ]
