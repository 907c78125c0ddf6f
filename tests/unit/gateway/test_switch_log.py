"""A refusal of all orders and a halt are one line when they begin and one when they end."""

from __future__ import annotations

from typing import Any

import structlog

from gateway.backends.switch_log import GRACE_S, SwitchLog


async def halt() -> dict[str, Any]:
    return {"reason": "odd prices", "actor": "ann", "since": "now"}


def test_a_refusal_is_logged_when_it_begins_and_when_it_ends() -> None:
    switches = SwitchLog(0.0)
    with structlog.testing.capture_logs() as lines:
        for now_s, reason in enumerate(["", "full", "full", "unsafe", "", "", "full"]):
            switches.take_refusal(reason, float(now_s))
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("orders_refused", "error"), ("orders_accepted_again", "info"), ("orders_refused", "error"),
    ]  # fmt: skip
    assert lines[0]["reason"] == "full"
    assert lines[1]["duration_s"] == 3.0


def test_a_start_is_not_a_refusal_unless_it_lasts() -> None:
    switches = SwitchLog(0.0)
    with structlog.testing.capture_logs() as lines:
        switches.take_refusal("not opened yet", 0.5)
        switches.take_refusal("", 1.0)
    assert lines == []
    late = SwitchLog(0.0)
    with structlog.testing.capture_logs() as lines:
        late.take_refusal("not opened yet", GRACE_S + 1)
    assert [line["event"] for line in lines] == ["orders_refused"]


async def test_halt_and_resume_are_one_line_each_with_reason_and_actor() -> None:
    switches = SwitchLog(0.0)
    with structlog.testing.capture_logs() as lines:
        for halted in (False, True, True, False, False):
            await switches.take_halt(halted, halt)
    assert [line["event"] for line in lines] == ["engine_halted", "engine_resumed"]
    assert (lines[0]["reason"], lines[0]["actor"]) == ("odd prices", "ann")
