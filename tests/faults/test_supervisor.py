"""The supervisor, with small scripts in the place of the engine's processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.processes import supervisor
from engine.processes.child_log import ChildLog, Rotation
from engine.processes.program import Program, StartError, signal_group
from engine.processes.supervisor import Supervisor
from engine.processes.unanswered import Unanswered
from tests.support.waits import HANG_S, holds, pace, until

SLEEPER = "import time; time.sleep(600)"
# Says in a file when it can no longer be asked to stop.
STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""
# Says in a file that it was started, and ends as if all were done, once it may.
QUITTER = """
import os, sys, time
open(sys.argv[1], "a").write("here\\n")
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
"""
# Says in a file what it started.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "a").write(f"{child.pid}\\n")
time.sleep(600)
"""
# The same in a session of its own, as Postgres does.
DETACHED = PARENT.replace('600)"]', '600)"], start_new_session=True')
# Logs as a process of the engine does, and dies at once while a file is there.
TALKER = """
import json, os, sys, time
def say(event, **fields):
    print(json.dumps({"event": event, "process": "a", "level": "info", **fields}), flush=True)
say("process_started")
print("a line of a library", flush=True)
say("order_parked", level="error")
if os.path.exists(sys.argv[1]):
    say("process_failed", level="critical", error="no such host")
    sys.exit(1)
say("order_failed")
time.sleep(600)
"""
# Says in a file when it was asked to stop.
WITNESS = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "a").write("here\\n")
time.sleep(600)
"""


def script(name: str, text: str, *args: str) -> Program:
    return Program(name=name, argv=[sys.executable, "-I", "-S", "-c", text, *args])


async def yes() -> bool:
    return True


@contextlib.asynccontextmanager
async def supervised(supervisor: Supervisor) -> AsyncIterator[asyncio.Event]:
    """Run a supervisor until the block ends; yields once it is ready."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop, yes, ready.set))
    try:
        await asyncio.wait_for(ready.wait(), HANG_S)
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, HANG_S)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_a_killed_process_is_restarted(tmp_path: Path) -> None:
    supervisor = Supervisor([[script("a", SLEEPER)]], tmp_path)
    async with supervised(supervisor):
        (child,) = supervisor.children
        for _ in range(3):
            first = child.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda first=first: child.pid not in (0, first))  # type: ignore[misc]


async def test_a_process_that_exits_is_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with exit code 0: nothing of an engine is ever done."""
    monkeypatch.setattr("engine.processes.supervisor.PAUSE_MAX_S", 0.01)
    told, over = tmp_path / "told", tmp_path / "over"
    quitter = script("a", QUITTER, str(told), str(over))
    async with supervised(Supervisor([[quitter]], tmp_path)):
        over.touch()
        await until(lambda: told.exists() and len(told.read_text().split()) >= 4)


async def test_a_process_that_ends_as_it_is_stopped_is_not_signalled_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process 0 is the group of the caller: the engine and what started it."""
    signalled = list[int]()
    kill = os.kill

    def counted(pid: int, what: int) -> None:
        signalled.append(pid)
        if pid > 0:
            kill(pid, what)

    supervisor = Supervisor([[script("a", SLEEPER)]], tmp_path)
    async with supervised(supervisor):
        (child,) = supervisor.children
        process = child._process
        assert process is not None

        def end(event: str, **about: object) -> None:
            if event == "process_stopping" and about:  # of the child, not of the supervisor
                process.kill()
                process.wait()

        monkeypatch.setattr("engine.processes.supervisor.log.info", end)
        monkeypatch.setattr(os, "kill", counted)
    assert 0 not in signalled
    with pytest.raises(ValueError, match="no process"):
        signal_group(0, signal.SIGTERM)


async def test_children_of_a_dead_process_are_killed(tmp_path: Path) -> None:
    told = tmp_path / "told"

    def started() -> list[int]:
        return [int(pid) for pid in told.read_text().split()] if told.exists() else []

    supervisor = Supervisor([[script("a", PARENT, str(told))]], tmp_path)
    async with supervised(supervisor):
        await until(lambda: len(started()) == 1)
        (child,) = supervisor.children
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: len(started()) == 2)
        await until(lambda: is_gone(started()[0]))


async def test_the_pause_before_a_restart_grows_to_a_bound_and_is_small_after_a_steady_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.processes.supervisor.PAUSE_MIN_S", 0.001)
    monkeypatch.setattr("engine.processes.supervisor.PAUSE_MAX_S", 0.004)
    monkeypatch.setattr("engine.processes.supervisor.STEADY_S", 2 * HANG_S)
    supervisor = Supervisor([[script("a", SLEEPER)]], tmp_path)
    with structlog.testing.capture_logs() as lines:
        async with supervised(supervisor):
            (child,) = supervisor.children
            for deaths in range(1, 7):
                if deaths > 4:
                    monkeypatch.setattr("engine.processes.supervisor.STEADY_S", 0.0)
                first = child.pid
                os.kill(first, signal.SIGKILL)
                await until(lambda first=first: child.pid not in (0, first))  # type: ignore[misc]
    pauses = [line["pause_s"] for line in lines if line["event"] == "process_restarted"]
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.001, 0.001]


async def test_a_hung_process_is_killed_and_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.processes.supervisor.LOOK_S", 0.02)
    alive = tmp_path / "alive"
    hanging = replace(script("a", SLEEPER), alive=lambda _: alive, hung_s=0.2)
    supervisor = Supervisor([[hanging]], tmp_path)
    async with supervised(supervisor):
        (child,) = supervisor.children
        await until(lambda: child.pid)
        first = child.pid
        # Life is shown from the loop that looks: no busy machine comes between the two.
        for _ in range(25):
            alive.touch()
            await pace(0.02)
        assert child.pid == first, "one that shows life is left alone"
        os.kill(first, signal.SIGSTOP)
        await until(lambda: child.pid not in (0, first))


def test_a_disk_that_hung_is_not_taken_for_a_process_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = tmp_path / "alive"
    alive.touch()
    program = replace(script("a", SLEEPER), alive=lambda _: alive, hung_s=2 * supervisor.LOOK_S)
    child = supervisor.Child(program, ChildLog(tmp_path / "a.log", Rotation(1, 1)), lambda: None)
    clock_s, hanging_s, touch = [1000.0], [30.0, 0.0], os.utime

    def utime(path: Path) -> None:
        clock_s[0] += hanging_s.pop(0)
        touch(path)

    def looked() -> bool:
        clock_s[0] += supervisor.LOOK_S
        return child._hangs(1)

    monkeypatch.setattr("time.monotonic", lambda: clock_s[0])
    monkeypatch.setattr("os.utime", utime)
    assert [looked() for _ in range(4)] == [False] * 4
    assert hanging_s == [0.0], "the disk was tried"
    assert [looked() for _ in range(4)] == [False] * 3 + [True]


async def test_a_server_that_does_not_answer_is_killed_with_its_children_and_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.processes.supervisor.LOOK_S", 0.02)
    monkeypatch.setattr("engine.processes.unanswered.CALM_LOOKS", 1)
    told, mute = tmp_path / "told", tmp_path / "mute"
    server = replace(
        script("a", DETACHED, str(told)), answers=lambda: not mute.exists(), hung_s=0.2
    )
    supervisor = Supervisor([[server]], tmp_path)

    def started() -> list[int]:
        return [int(pid) for pid in told.read_text().split()] if told.exists() else []

    with structlog.testing.capture_logs() as lines:
        async with supervised(supervisor):
            (child,) = supervisor.children
            await until(lambda: len(started()) == 1)
            first = child.pid
            await holds(lambda: child.pid == first, 0.5)
            mute.touch()
            await until(lambda: child.pid not in (0, first))
            mute.unlink()
            await until(lambda: is_gone(started()[0]))
    assert [line["name"] for line in lines if line["event"] == "process_hung"][:1] == ["a"]
    errors = [line["error"] for line in lines if line["event"] == "process_restarted"]
    assert errors[0].startswith("it hung for ")


def test_a_server_whose_disk_hangs_is_not_taken_for_one_that_hangs() -> None:
    disk_works = threading.Event()

    def ask() -> bool:
        disk_works.wait(HANG_S)
        return False

    looks = Unanswered(ask)
    assert [looks.look() for _ in range(50)] == [0] * 50
    disk_works.set()
    looks.forget()


async def test_a_crash_loop_is_one_line_for_each_restart_and_one_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.processes.supervisor.PAUSE_MIN_S", 0.01)
    monkeypatch.setattr("engine.processes.supervisor.LOOK_S", 0.02)
    monkeypatch.setattr("engine.processes.supervisor.STEADY_S", 2 * HANG_S)
    ill, file = tmp_path / "ill", tmp_path / "a.log"
    supervisor = Supervisor([[script("a", TALKER, str(ill))]], tmp_path)
    with structlog.testing.capture_logs() as lines:

        def of(event: str) -> list[Any]:
            return [line for line in lines if line["event"] == event]

        async with supervised(supervisor):
            (child,) = supervisor.children
            await until(lambda: file.exists() and "order_failed" in file.read_text())
            ill.touch()
            os.kill(child.pid, signal.SIGKILL)
            await until(lambda: len(of("process_restarted")) >= 5)
            ill.unlink()
            # Of the first process and of the last, after their starts.
            await until(lambda: file.read_text().count("order_failed") == 2)
            monkeypatch.setattr("engine.processes.supervisor.STEADY_S", 0.2)
            await until(lambda: of("process_recovered"))
    restarted = of("process_restarted")
    assert [line["deaths"] for line in restarted] == list(range(1, len(restarted) + 1))
    assert "no such host" in {line["error"] for line in restarted[1:]}
    [over] = of("process_recovered")
    assert over["deaths"] == len(restarted)
    printed = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    kept = [json.loads(line)["event"] for line in file.read_text().splitlines()]
    # What a process wrote last is lost where it is not read in time: no start has a fixed count.
    assert kept.count("process_started") >= 3, "the file has it all"
    assert printed.count("process_started") <= 2, "the first, and the one after the first death"
    assert printed.count("process_failed") == 0, "the restart has its cause"
    shown = printed.count("order_parked")
    assert shown == kept.count("order_parked"), "what does not belong to a start is shown"
    assert 3 <= shown <= len(restarted) + 1


async def test_process_groups_are_stopped_one_after_another(tmp_path: Path) -> None:
    told = tmp_path / "told"
    groups = [[script(name, WITNESS, str(told), name)] for name in ("gateway", "stage", "backend")]
    async with supervised(Supervisor(groups, tmp_path)):
        # Until then a signal ends them silently.
        await until(lambda: told.exists() and told.read_text().split() == ["here"] * 3)
    assert told.read_text().split()[3:] == ["gateway", "stage", "backend"]


async def test_processes_that_ignore_the_stop_signal_are_killed_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert supervisor.STOP_S < 5, "what is promised, for the whole of it"
    monkeypatch.setattr("engine.processes.supervisor.STOP_S", 0.4)
    deaf = [tmp_path / f"deaf-{n}" for n in range(4)]
    groups = [[script(path.name, STUBBORN, str(path))] for path in deaf]
    stubborn = Supervisor(groups, tmp_path)
    async with supervised(stubborn):
        await until(lambda: all(path.exists() for path in deaf))
        pids = [child.pid for child in stubborn.children]
    assert all(is_gone(pid) for pid in pids)


async def never() -> bool:
    return False


async def test_a_fault_that_no_restart_repairs_is_reported_at_once(tmp_path: Path) -> None:
    code = "import sys; print('engine: PORT is not a number', file=sys.stderr); sys.exit(2)"
    supervisor = Supervisor([[replace(script("a", code), hopeless=2)]], tmp_path)
    with pytest.raises(StartError, match=r"^a does not start: PORT is not a number$"):
        await supervisor.run(asyncio.Event(), never, lambda: None)
    assert supervisor.children[0].deaths <= 1


async def test_a_program_that_never_starts_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.processes.supervisor.DEATHS_MAX", 2)
    broken = script("a", "import sys; sys.exit('error: no such thing')")
    supervisor = Supervisor([[broken]], tmp_path)
    with pytest.raises(StartError, match="a does not start: error: no such thing"):
        await supervisor.run(asyncio.Event(), never, lambda: None)


async def test_the_log_of_a_child_is_rotated_and_bounded(tmp_path: Path) -> None:
    chatty = script("a", "for n in range(50_000): print(n, 'x' * 20, flush=True)\n" + SLEEPER)
    rotation = Rotation(bytes_max=300_000, files=2)
    async with supervised(Supervisor([[chatty]], tmp_path, rotation=rotation)):
        last = tmp_path / "a.log"
        await until(lambda: last.exists() and b"49999 x" in last.read_bytes())
    files = sorted(tmp_path.glob("a.log*"))
    assert [file.name for file in files] == ["a.log", "a.log.1", "a.log.2"]
    assert all(file.stat().st_size < 2_000_000 for file in files)
    numbers = [
        int(json.loads(line)["text"].split()[0])
        for file in reversed(files)
        for line in file.read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 50_000)), "a line was lost or split by a rotation"


async def test_what_a_child_prints_is_json_in_its_file_and_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ours = {"event": "process_ready", "level": "info", "process": "a"}
    text = (
        f"import sys, warnings; print({json.dumps(ours)!r}, flush=True)\n"
        "print('half', end='', flush=True); print(' a line', flush=True)\n"
        "warnings.warn('odd', stacklevel=1)\n"
        "print('ValueError: lost', file=sys.stderr, flush=True)\n"
        "sys.stdout.buffer.write(b'caf\\xe9 \\x00\\n'); sys.stdout.flush()\n"
    )
    async with supervised(Supervisor([[script("a", text + SLEEPER)]], tmp_path)):
        file = tmp_path / "a.log"
        await until(lambda: file.exists() and "caf" in file.read_text())
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    assert lines[0] == ours
    texts = {line["text"]: line["level"] for line in lines[1:]}
    assert texts["half a line"] == "info"
    assert texts["ValueError: lost"] == "error"
    assert "warning" in texts.values()
    assert all(line["event"] == "process_output" and line["timestamp"] for line in lines[1:])
    printed = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line for line in printed if line in lines] == lines


async def test_nothing_is_left_after_kill_9_of_the_parent(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    parent = f"""
import subprocess, sys, time
from pathlib import Path
from engine.processes.program import Program
with open({str(tmp_path / "log")!r}, "wb") as log:
    argv = [sys.executable, "-I", "-S", "-c", {STUBBORN!r}, {str(deaf)!r}]
    print(Program(name="a", argv=argv).spawn(log).pid, flush=True)
time.sleep(600)
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    child = int(await process.stdout.readline())
    await until(deaf.exists)
    assert not is_gone(child)
    process.kill()
    await process.wait()
    await until(lambda: is_gone(child))
