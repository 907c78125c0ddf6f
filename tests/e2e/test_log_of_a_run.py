"""The log of a whole run of `engine up`: each change of state is one line, and none comes twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from engine.telemetry.catalogue import by_name
from tests.support.processes.engine_up import PROCESSES, Engine, engine_up
from tests.support.waits import HANG_S, until

SERVERS = ("valkey", "postgres")
HALT = {"reason": "odd prices"}
RUN: dict[tuple[str, str], int] = {
    **{("process_started", name): 1 for name in ("up", *PROCESSES, *SERVERS)},
    **{("process_ready", name): 1 for name in ("up", *PROCESSES, *SERVERS)},
    **{("process_stopping", name): 1 for name in ("up", *PROCESSES, *SERVERS)},
    **{("process_stopped", name): 1 for name in ("up", *PROCESSES, *SERVERS)},
    # The router was killed once.
    ("process_started", "router"): 2,
    ("process_ready", "router"): 2,
    ("process_restarted", "up"): 1,
    ("engine_halted", "gateway"): 1,
    ("engine_resumed", "gateway"): 1,
    ("order_failed", "router"): 1,
    ("transaction_in_doubt", "confirmer"): 1,
    ("doubt_over", "confirmer"): 1,
}
"""How often each event is logged by each process. What else is logged is not of this table.

Outages and refusals are not: a machine that stands still has more of them.
"""
EVENTS = {event for event, _ in RUN}
OVER = {
    "backend_outage_begun": "backend_outage_over",
    "orders_refused": "orders_accepted_again",
}
"""What ends each of these. One line a retry would be many of the first and one of the second."""


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The lines that `engine up` wrote to stderr."""
    return [json.loads(line) for line in (folder / "up.log").read_text().splitlines()]


def switches(folder: Path) -> Counter[tuple[str, str, str]]:
    """How often each process logged the begin and the end of each outage and of refusals."""
    counts = Counter[tuple[str, str, str]]()
    for line in lines_of(folder):
        if line["event"] in OVER or line["event"] in OVER.values():
            key = line["event"], line["process"], line.get("backend", "")
            counts[key] += 1 + line.get("repeated", 0)
    return counts


def is_over(counts: Counter[tuple[str, str, str]]) -> bool:
    """Whether each outage and refusal that began is over, and none of them began twice."""
    return all(
        counts[OVER[event], process, backend] == count
        for (event, process, backend), count in counts.items()
        if event in OVER
    )


async def logged(folder: Path, event: str) -> None:
    await until(lambda: any(line["event"] == event for line in lines_of(folder)), event)


async def post(engine: Engine, path: str, body: dict[str, str]) -> None:
    assert (await engine.post(body, path=path)).status in {200, 202}


async def test_each_change_of_state_is_one_line_of_its_level(short_path: Path) -> None:
    async with engine_up(short_path, stuck_after_s=60) as engine:
        killed = engine.kill("router")
        assert await engine.restarted("router", killed)
        failed = await engine.submit(key="failed", tokenOut="NOROUTE")
        doubted = await engine.submit(key="doubted", tokenOut="DOUBT")
        ended = await engine.ended([failed, doubted])
        assert ended == {failed: "failed", doubted: "confirmed"}
        await post(engine, "/api/admin/halt", HALT)
        await logged(short_path, "engine_halted")
        await post(engine, "/api/admin/resume", {})
        await logged(short_path, "engine_resumed")
        # Stopped for longer than a restart takes, and for less than is taken for a hang.
        engine.kill("valkey", signal.SIGSTOP)
        await logged(short_path, "orders_refused")
        engine.kill("valkey", signal.SIGCONT)
        await logged(short_path, "orders_accepted_again")
        await until(lambda: is_over(switches(short_path)), "every outage to be over")
        engine.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(engine.process.wait(), HANG_S)
    lines = lines_of(short_path)
    counts = Counter((line["event"], line["process"]) for line in lines if line["event"] in EVENTS)
    assert counts == RUN
    seen = switches(short_path)
    assert seen["orders_refused", "gateway", ""] >= 1
    assert seen["backend_outage_begun", "gateway", "log"] >= 1
    levels = by_name()
    assert {line["event"] for line in lines} - levels.keys() == set()
    assert [line for line in lines if levels[line["event"]].level not in ("", line["level"])] == []
