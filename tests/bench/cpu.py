"""Where the time goes, without a profiler: CPU seconds of each process, from /proc.

User and system time, those of children that ended included (Valkey forks to rewrite its file), and
of Postgres all that its postmaster started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")

Seconds = dict[str, float]


def spent(pids: Mapping[str, int]) -> Seconds:
    """Return the CPU seconds of each named process since it began, and those of the machine."""
    children = _children()
    total = {}
    for name, pid in pids.items():
        family = [pid, *children.get(pid, ())]
        total[name] = sum(_seconds(item) for item in family)
    total["machine"] = _busy()
    return total


def between(before: Seconds, after: Seconds, loader_s: float) -> Seconds:
    """Return the CPU time between two samples; `others` is that of foreign processes."""
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    used["loader"] = loader_s
    machine = used.pop("machine")
    used["others"] = max(0.0, machine - sum(used.values()))
    return used


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) * TICK_S if fields else 0.0


def _children() -> dict[int, list[int]]:
    results: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(path.name)):
            results.setdefault(int(fields[1]), []).append(int(path.name))
    return results


def _busy() -> float:
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) * TICK_S
