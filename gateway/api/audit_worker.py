"""The auditor's process: `python -m gateway.api.audit_worker`, JSON lines on stdin and stdout.

Folding millions of events takes a processor for seconds; in a separate process it does not block
the gateway's event loop. The process ends with its stdin, so that no audit outlives its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from events.archive import Archive, ArchiveUnavailable
from events.archive.history import Gap, everything
from events.audit.status_counts import StatusCounter
from events.audit.verify import lost, shown, verify
from events.log import EventLog, LogError, Missing
from events.secret import SecretUrl
from projections.postgres.order_rows import columns
from projections.views.formats import timestamp

PROBLEMS_MAX = 100
NICE = 10
"""Lowers the process's priority below that of order processing."""


class Task(msgspec.Struct, frozen=True):
    """The request of one audit."""

    what: Literal["verify", "state"]
    redis_url: SecretUrl
    database_url: SecretUrl
    window_s: int
    """How long idempotency keys are kept after the end of their orders."""
    position: int = 0
    """The position to audit at; 0: the newest, or that of `time_us`."""
    time_us: int = 0


def main() -> None:
    """Runs the audit that stdin asks for."""
    os.nice(NICE)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task, dec_hook=_secret)
    threading.Thread(target=_leave_with_stdin, daemon=True).start()
    try:
        asyncio.run(_audit(task))
    except (LogError, ArchiveUnavailable, Gap, msgspec.DecodeError) as error:
        _print({"fault": str(error)})


def encoded(task: Task) -> bytes:
    """The task as JSON, with its secrets: for the auditor's standard input only."""
    return msgspec.json.encode(task, enc_hook=SecretUrl.reveal)


def _secret(kind: type, value: object) -> object:
    return kind(value)


def _leave_with_stdin() -> None:
    # Not `sys.stdin`: at its end the interpreter would wait for that object's lock, and abort.
    while os.read(0, 1 << 12):
        pass
    os._exit(1)


def _print(content: dict[str, Any]) -> None:
    print(msgspec.json.encode(content).decode(), flush=True)


async def _audit(task: Task) -> None:
    log = EventLog(task.redis_url, build="audit", idempotency_window_s=task.window_s)
    archive = await Archive.open(task.database_url, connections=2)
    try:
        if task.what == "verify":  # which takes nothing for granted, the log's own word neither
            await _verify(log, archive)
        else:
            with contextlib.suppress(Missing):
                await log.open(create=False)
            await _state(log, archive, task)
    finally:
        await archive.close()
        await log.close()


class _Progress:
    """Writes a line for each percent."""

    def __init__(self) -> None:
        self._percent = -1

    def __call__(self, done: int, of: int) -> None:
        percent = 100 * done // max(of, 1)
        if percent > self._percent:
            self._percent = percent
            _print({"done": done, "of": of})


async def _verify(log: EventLog, archive: Archive) -> None:
    verdict = await verify(archive, log, columns, _Progress())
    problems = [shown(problem) for problem in verdict.problems[:PROBLEMS_MAX]]
    _print(
        {
            "sound": not verdict.problems,
            "firstBadPosition": verdict.problems[0].position if verdict.problems else None,
            "events": verdict.events,
            "orders": verdict.orders,
            "archivedThrough": verdict.archived,
            "head": verdict.head,
            "acceptedLosses": [lost(loss) for loss in verdict.accepted[:PROBLEMS_MAX]],
            "problemCount": len(verdict.problems),
            "problems": problems,
        }
    )


async def _state(log: EventLog, archive: Archive, task: Task) -> None:
    counter = StatusCounter()
    until = task.position or None
    losses = await archive.losses()
    async with aclosing(everything(archive, log, until=until, losses=losses)) as pages:
        async for page in pages:
            cut = page.until_time(task.time_us) if task.time_us else page
            if cut.positions:
                for part in losses.parts(cut):
                    counter.resume(losses.between(counter.position + 1, part.positions[0] - 1))
                    counter.page(part)
            if cut is not page:
                break
    counts = counter.counts()
    when = timestamp(counter.time_us) if counter.time_us else None
    _print({"position": counter.position, "time": when, "orders": sum(counts.values()),
          "statuses": counts})  # fmt: skip


if __name__ == "__main__":
    main()
