"""A refusal of all orders and a halt are one line when they begin and one when they end."""

from __future__ import annotations

from typing import Any

import structlog

from gateway.backends.switch_log import GRACE_S, LASTS_S, START_S, ReasonLog, SwitchLog
from gateway.http.readiness_reasons import reason


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


def test_each_reason_is_a_line_when_it_begins_and_one_when_it_is_over() -> None:
    seen = ReasonLog(-START_S)
    router, projector = (
        {"router": reason("stage-silent")},
        {"projector": reason("log-not-compared")},
    )
    with structlog.testing.capture_logs() as lines:
        for now_s, reasons in enumerate([{}, router, router | projector, projector, {}, router]):
            seen.take(reasons, float(now_s))
    assert [
        (line["event"], line["log_level"], line["part"], line["code"], line.get("duration_s"))
        for line in lines
    ] == [
        ("readiness_reason_begun", "warning", "router", "stage-silent", None),
        ("readiness_reason_begun", "warning", "projector", "log-not-compared", None),
        ("readiness_reason_over", "info", "router", "stage-silent", 2.0),
        ("readiness_reason_over", "info", "projector", "log-not-compared", 2.0),
        ("readiness_reason_begun", "warning", "router", "stage-silent", None),
    ]


def test_a_reason_of_another_code_is_another_line() -> None:
    seen = ReasonLog(-START_S)
    with structlog.testing.capture_logs() as lines:
        for code in ("stage-silent", "stage-without-worker"):
            seen.take({"router": reason(code)}, 0.0)
    assert [(line["event"], line["code"]) for line in lines] == [
        ("readiness_reason_begun", "stage-silent"),
        ("readiness_reason_over", "stage-silent"),
        ("readiness_reason_begun", "stage-without-worker"),
    ]


def test_reasons_of_a_start_are_logged_only_if_they_last_and_those_of_the_log_never() -> None:
    seen = ReasonLog(0.0)
    with structlog.testing.capture_logs() as lines:
        seen.take({"postgres": reason("archive-unavailable")}, 1.0)
        seen.take({}, 2.0)
        seen.take({"log": reason("log-full")}, START_S)
        assert lines == []
        seen.take({"postgres": reason("archive-unavailable")}, START_S)
    assert [line["code"] for line in lines] == ["archive-unavailable"]


def test_a_reason_that_lasts_is_logged_within_the_start() -> None:
    seen = ReasonLog(0.0)
    with structlog.testing.capture_logs() as lines:
        for now_s in (1.0, 2.0, 3.0):
            seen.take({"postgres": reason("archive-unavailable")}, now_s)
        assert lines == []
        seen.take({"postgres": reason("archive-unavailable")}, 1.0 + LASTS_S)
        seen.take({}, 6.0)
    assert [(line["event"], line["code"]) for line in lines] == [
        ("readiness_reason_begun", "archive-unavailable"),
        ("readiness_reason_over", "archive-unavailable"),
    ]
