"""All tests, file by file in TEST_LANES processes side by side (4), each with servers of its own.

Tests of whole engines mostly wait for processes: twice as many lanes as cores keep a small machine
busy. `make test ARGS=...` hands its arguments to one pytest instead. The order is random
(`tests/support/order.py`); PYTEST_ADDOPTS=--randomly-seed=... repeats that of another run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEEPS_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
LONGEST = (
    "test_repair_damage.py", "test_secrets.py", "test_repair.py", "test_audit.py",
    "test_localnet.py", "test_odd_requests.py", "test_chain_faults.py", "test_backup.py",
    "test_damage.py", "test_chain_life.py", "test_kills.py", "test_parking.py",
    "test_racing_commands.py", "test_chain_versions.py", "test_audits_http.py",
    "test_localnet_v1.py", "test_chain_token_2022.py", "test_foreign_entries.py", "test_doctor.py",
    "test_gateway_http.py", "test_embedded.py", "test_postgres_down.py", "test_chain_repair.py",
    "test_archive.py", "test_valkey_killed.py", "test_gateway_restart.py",
    "test_order_lifecycle.py", "test_chain_settle.py", "test_postgres_killed.py",
    "test_stage_fusion_killed.py", "test_watcher_killed.py", "test_send_gap.py", "test_console.py",
    "test_manual.py",
)  # fmt: skip
"""The files that take the longest, the longest first (`--durations=0` shows how long each takes).

A lane takes the next file when it is done with one. So a long file that comes late is what the
others wait for at the end, and a short one fills a gap.
"""


def main(arguments: list[str]) -> int:
    """Run pytest; 0 when everything passed."""
    command = [sys.executable, "-m", "pytest", "-q", *(arguments or _all())]
    return subprocess.call(command, cwd=ROOT, env=_environ())


def _environ() -> dict[str, str]:
    # Each lane imports all tests, and each engine is nine processes. Without bytecode on the disk
    # each of them compiles all modules once more: a lane took 13 s of CPU time instead of 5 s.
    return {name: value for name, value in os.environ.items() if name != KEEPS_NO_BYTECODE}


def _all() -> list[str]:
    # Servers that the tests did not start are one for all lanes, and each test empties them.
    alone = os.environ.get("TEST_BACKEND") == "external"
    lanes = "1" if alone else os.environ.get("TEST_LANES", "4")
    side_by_side = ["-n", lanes, "--dist", "loadfile", "--no-loadscope-reorder"]
    return ["tests", "--color=auto", *(side_by_side if lanes != "1" else [])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
