"""Figure (f): how fast the past is replayed, and the tables rebuilt from it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import NamedTuple

import msgspec

from tests.bench import loads
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.throughput import BATCH, BATCH_CONNECTIONS, CONNECTIONS
from tests.bench.yardsticks import Around, Yardsticks

EVENTS = 500_000
TARGET = 300_000
PATIENCE_S = 120
QUICK_S = 5
"""Less time than this means that fewer events will do."""

COMMANDS = {
    "replay": ("audit", "replay", "--json"),
    "rebuild": ("projections", "rebuild", "--json"),
}


class _Reply(msgspec.Struct, frozen=True):
    events: int
    seconds: float


class Done(NamedTuple):
    """What a command did: as it says itself, and how long it took with all its imports."""

    events: int
    seconds: float
    wall_s: float


def replay(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(f) Replay and rebuild of at least 500,000 events."""
    _top_up(subject, EVENTS if seconds >= QUICK_S else 0)
    subject.settle()
    with yardsticks.around(connections=CONNECTIONS) as known:
        done = [_done(subject, words) for words in COMMANDS.values()]
    return Outcome(tuple(map(_figure, COMMANDS, done, (known, known))))


def _figure(what: str, done: Done | None, known: Around) -> Figure:
    if done is None:
        note = f"`engine {' '.join(COMMANDS[what])}` failed"
        target = Target("measured", reached=False)
        return Figure(letter="f", what=what, value=0, unit="", targets=(target,), note=note)
    rate = done.events / done.seconds
    return Figure(
        letter="f",
        what=f"events, {what}",
        value=rate,
        unit="/s",
        set_yardstick=known.set_rate,
        post_yardstick=known.post_rate,
        targets=(Target(">= 300,000/s", rate >= TARGET),),
        note=f"{done.events:,} events in {done.seconds:.2f} s, the command {done.wall_s:.2f} s",
    )


def _top_up(subject: Subject, number: int) -> None:
    while (have := subject.position()) < number:
        print(f"    {have:,} events, more are needed", file=sys.stderr)
        loads.posts(
            subject.port,
            connections=BATCH_CONNECTIONS,
            seconds=5,
            batch=BATCH,
            grown=subject.bytes_on_disk,
        )
        subject.settle()


def _done(subject: Subject, words: tuple[str, ...]) -> Done | None:
    """Run a command to its end, None where it fails."""
    start = time.perf_counter()
    try:
        process = subprocess.run(
            subject.command(*words),
            cwd=subject.folder,
            env=subject.environ,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    reply = msgspec.json.decode(process.stdout, type=_Reply)
    return Done(reply.events, reply.seconds, time.perf_counter() - start)
