"""Text of other programs becomes a line of the log, with the level that it had."""

from __future__ import annotations

import pytest

from engine.telemetry.foreign_lines import parse, text_of

NOW = "01 Dec 2026 01:02:03.456"


@pytest.mark.parametrize(
    ("process", "line", "level", "text"),
    [
        ("valkey", f"47:M {NOW} * Ready to accept connections", "debug", "Ready to accept"),
        ("valkey", f"47:M {NOW} # WARNING overcommit", "warning", "WARNING overcommit"),
        ("valkey", f"47:M {NOW} # Valkey is now ready to exit, bye bye...", "debug", "Valkey is"),
        ("valkey", "no format at all", "debug", "no format"),
        ("postgres", "2026-12-01 01:02:03.4 UTC [9] LOG:  ready", "debug", "ready"),
        ("postgres", "2026-12-01 01:02:03.4 UTC [9] FATAL:  no space", "warning", "no space"),
        ("postgres", "2026-12-01 01:02:03.4 UTC [9] PANIC:  lost", "critical", "lost"),
        ("router", "Traceback (most recent call last):", "error", "Traceback"),
        ("router", "ValueError: x", "error", "ValueError"),
        ("router", "x.py:1: UserWarning: odd", "warning", "x.py"),
        ("localnet", "engine: local chain: disk is full", "error", "engine: local"),
        ("router", "plain", "info", "plain"),
        ("router", '{"half": ', "info", '{"half'),
        ("router", '{"no": "event"}', "info", '{"no"'),
        ("router", "[1, 2]", "info", "[1, 2]"),
    ],
)  # fmt: skip
def test_text_is_wrapped_with_its_level(process: str, line: str, level: str, text: str) -> None:
    fields = parse(process, line.encode())
    assert (fields["event"], fields["process"], fields["level"]) == (
        "process_output", process, level,
    )  # fmt: skip
    assert fields["text"].startswith(text)


def test_a_line_of_the_engine_is_kept_and_bytes_that_are_not_text_are_shown() -> None:
    ours = b'{"event": "process_ready", "level": "info", "process": "router", "n": 1}'
    assert parse("up", ours)["n"] == 1
    assert parse("router", b"caf\xe9")["text"] == "caf\ufffd"


@pytest.mark.parametrize(
    ("process", "line", "text"),
    [
        ("valkey", f"47:M {NOW} # Can't save", "Can't save"),
        ("postgres", "2026-12-01 01:02:03.4 UTC [9] FATAL:  no space", "no space"),
        ("router", "ValueError: x", "ValueError: x"),
        ("router", "", ""),
        (
            "router",
            '{"event": "process_failed", "level": "critical"}',
            '{"event": "process_failed"',
        ),
    ],
)
def test_why_a_program_ended_is_told_without_its_marks(process: str, line: str, text: str) -> None:
    assert text_of(process, line).startswith(text)
