"""Which processes are reported as hung: by signs of life, and by connections to the log."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from events.log import EventLog
from events.log.waiting import WorkerProcess, _by_process
from gateway.backends.hung_processes import HungProcesses, ProcessSign, no_signs, silent
from tests.support.waits import HANG_S, until

OWN = 1
AFTER_S = 20.0
GATEWAY = ProcessSign("gateway", "a", OWN, 1.0)


def names(signs: Sequence[ProcessSign], workers: Sequence[ProcessSign] = ()) -> set[str]:
    return set(silent(signs, workers, OWN, AFTER_S))


def test_one_of_ten_of_a_kind_that_is_silent_is_named() -> None:
    routers = [ProcessSign("router", "a", pid, 30.0 if pid == 14 else 2.0) for pid in range(10, 20)]
    assert names([GATEWAY, *routers]) == {"router@a.14"}


def test_a_worker_of_another_host_is_named_by_its_connections() -> None:
    assert names([GATEWAY], [ProcessSign("router", "b", 7, 25.0)]) == {"router@b.7"}


@pytest.mark.parametrize("host", ["my pc", "büro", "a_b", "plain", "x" * 60])
def test_a_process_that_is_seen_in_both_ways_is_named_once(host: str) -> None:
    import re

    from events.log import safe_name

    in_files = re.sub(r"[^A-Za-z0-9_.-]", "_", host)
    sign = ProcessSign("router-builder", in_files, 7, 25.0)
    worker = ProcessSign("router", safe_name(host)[:32], 7, 25.0)
    assert names([GATEWAY, sign], [worker]) == {sign.name}


def test_signs_tell_nothing_where_the_disk_takes_none_from_this_process_either() -> None:
    stale = GATEWAY._replace(silent_s=40.0)
    assert names([stale, ProcessSign("router", "a", 7, 40.0)]) == set()
    assert names([stale], [ProcessSign("router", "b", 7, 40.0)]) == {"router@b.7"}


def test_silence_in_one_look_only_is_not_reported() -> None:
    looks = HungProcesses(AFTER_S, no_signs)
    hung = ProcessSign("projector", "a", 7, 25.0)
    looks.take([GATEWAY, hung], [], OWN, 1_000.0)
    assert looks.reasons() == {}
    looks.take([GATEWAY], [], OWN, 1_005.0)
    assert looks.reasons() == {}


def test_a_reason_keeps_its_text_while_it_lasts_and_ends_with_the_silence() -> None:
    looks = HungProcesses(AFTER_S, no_signs)
    texts = set()
    for later_s in (0.0, 5.0, 10.0):
        sign = ProcessSign("projector", "a", 7, 25.3 + later_s)
        looks.take([GATEWAY, sign], [], OWN, 1_000.0 + later_s)
        texts |= {reason.text for reason in looks.reasons().values()}
    assert texts == {
        "process 7 on a hangs: no sign of life since 1970-01-01T00:16:14.700000Z",
    }
    looks.take([GATEWAY, ProcessSign("projector", "a", 7, 0.5)], [], OWN, 1_015.0)
    assert looks.reasons() == {}


def test_connections_alone_may_be_those_of_a_host_that_is_lost() -> None:
    looks = HungProcesses(AFTER_S, no_signs)
    worker = ProcessSign("router", "b", 7, 25.0, by_connections=True)
    for now_s in (1_000.0, 1_005.0):
        looks.take([GATEWAY], [worker], OWN, now_s)
    [reason] = looks.reasons().values()
    assert reason.text.startswith("process 7 on b hangs, or its host is lost: ")


async def test_signs_are_looked_at_while_the_log_does_not_answer() -> None:
    signs = [ProcessSign("projector", "a", 7, 25.0)]
    log = EventLog("redis://127.0.0.1:1/0", build="test")
    looks = HungProcesses(AFTER_S, lambda: signs)
    await looks.look(log)
    await looks.look(log)
    assert set(looks.hung) == {"projector@a.7"}
    signs.clear()
    await looks.look(log)
    assert looks.hung == {}
    await log.close()


def test_a_disk_that_gives_the_signs_now_and_then_hides_no_process() -> None:
    looks = HungProcesses(AFTER_S, no_signs)
    hung = ProcessSign("projector", "a", 7, 25.0)
    for signs, named in (([hung], False), (None, False), ([hung], True), (None, False)):
        looks.take(signs, [], OWN, 1_000.0)
        assert (set(looks.hung) == {"projector@a.7"}) is named
    looks.take([], [], OWN, 1_020.0)
    looks.take([hung], [], OWN, 1_025.0)
    assert looks.hung == {}, "it was well in between"


async def test_a_disk_that_hangs_keeps_one_thread_and_the_looks_continue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.backends.hung_processes.SIGNS_S", 0.01)
    works = threading.Event()
    reads = list[int]()

    def read() -> Sequence[ProcessSign]:
        reads.append(1)
        works.wait(HANG_S)
        return [ProcessSign("projector", "a", 7, 25.0)]

    log = EventLog("redis://127.0.0.1:1/0", build="test")
    looks = HungProcesses(AFTER_S, read)
    for _ in range(5):
        await looks.look(log)
    assert len(reads) == 1
    assert looks.hung == {}
    monkeypatch.setattr("gateway.backends.hung_processes.SIGNS_S", HANG_S)
    works.set()

    async def is_seen() -> bool:
        await looks.look(log)
        return set(looks.hung) == {"projector@a.7"}

    await until(is_seen)
    await log.close()


def test_workers_are_read_from_the_list_of_clients() -> None:
    line = b"id=%d addr=/s:0 laddr=/s:0 fd=9 name=%s age=90 idle=%d flags=N db=0 sub=0 cmd=fcall\n"
    clients = b"".join(
        line % (number, name, idle_s)
        for number, (name, idle_s) in enumerate(
            [
                (b"router-my-host-31736-c3bc2f", 81),
                (b"router-my-host-31736-c3bc2f", 80),
                (b"router-my-host-31385-376172", 0),
                (b"watching-my-host-31389-1a5697", 90),
                (b"watcher-my-host-31389-1a5697", 1),
                (b"writer", 100),
                (b"", 100),
            ]
        )
    )
    assert sorted(_by_process(clients)) == [
        WorkerProcess("router", "my-host", 31385, 0.0),
        WorkerProcess("router", "my-host", 31736, 80.0),
        WorkerProcess("watcher", "my-host", 31389, 1.0),
    ]
