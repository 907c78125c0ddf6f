"""Restarts are counted by changes of process ids."""

from __future__ import annotations

from engine.processes.restarts import Restarts


def test_a_first_start_and_an_absent_process_are_not_restarts() -> None:
    restarts = Restarts()
    for pids in ({"router": 7}, {"router": 7, "builder": 8}, {"builder": 8}, {"router": 7}):
        restarts.take(pids)
    assert restarts.counts == {}


def test_each_new_process_id_is_one_restart_also_after_an_absence() -> None:
    restarts = Restarts()
    for pids in ({"router": 7}, {"router": 9}, {}, {"router": 11, "builder": 3}):
        restarts.take(pids)
    assert restarts.counts == {"router": 2}
