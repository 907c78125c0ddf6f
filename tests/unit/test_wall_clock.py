"""Code asks `events.telemetry.server_clock` for the time of day: machines' clocks differ.

A wall clock is only for what stays on its machine, or for comparing the clocks themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
ALLOWED = {
    "engine/client/transport.py": "an answer without a Date",
    "engine/doctor/archive.py": "compares the clocks",
    "engine/doctor/log_server.py": "compares the clocks",
    "engine/localnet/node.py": "the local chain has a clock of its own",
    "engine/localnet/open.py": "the local chain has a clock of its own",
    "engine/processes/signs_of_life.py": "files of this machine",
    "engine/recovery/archive_repair.py": "a number for a new epoch, without a log to ask",
    "engine/telemetry/logging.py": "lines of this machine",
    "events/ids.py": "ids that nothing is judged by; orders have a time of the caller's",
    "events/telemetry/server_clock.py": "compares the clocks",
    "gateway/backends/hung_processes.py": "the times of files on this machine",
    "stages/venues/solana/rpc/node.py": "an answer without a Date",
}
WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}


def reads_of_the_wall_clock(path: Path) -> Iterator[int]:
    """The lines of a file that do."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in WALL:
                yield node.lineno
            case ast.ImportFrom(module="time", names=names):
                yield from (node.lineno for name in names if ("time", name.name) in WALL)


def test_only_what_stays_on_a_machine_reads_its_clock() -> None:
    reading = {
        str(path.relative_to(ROOT)): list(lines)
        for folder in OURS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := list(reads_of_the_wall_clock(path)))
    }
    assert {path: lines for path, lines in reading.items() if path not in ALLOWED} == {}
    assert ALLOWED.keys() - reading.keys() == set(), "entries that nothing needs"
