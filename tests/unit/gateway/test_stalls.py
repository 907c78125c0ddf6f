"""When a stage stands still, and when it only looks like it for a moment."""

from __future__ import annotations

from events.log import StageState, Workers
from gateway.backends.stall_detector import Stalls

AFTER_S = 10.0


class Looks:
    """Looks at one stage, one a second, told by (ms of silence or None, front)."""

    def __init__(self) -> None:
        self.stalls = Stalls(AFTER_S)
        self.now = 100.0

    def look(
        self, silent_ms: int | None, front: str = "", *, watchers: int = 1, resting: int = 0
    ) -> str:
        self.now += 1
        states = {"watcher": StageState(silent_ms, front.encode())}
        self.stalls.take(Workers(states, watchers, resting), self.now)
        reason = self.stalls.reasons.get("watcher")
        return reason.text if reason else ""


def test_a_stage_without_a_worker_is_reported_as_stalled_after_a_while() -> None:
    looks = Looks()
    assert [looks.look(None) for _ in range(10)] == [""] * 10
    assert looks.look(None) == "no worker of it runs"
    assert looks.look(0) == ""


def test_silent_workers_are_distinguished_from_idle_ones() -> None:
    looks = Looks()
    assert {looks.look(900) for _ in range(30)} == {""}
    results = [looks.look(1900 + 1000 * n) for n in range(10)]
    assert results == [""] * 9 + ["its workers have been silent"]


def test_an_oldest_order_that_does_not_move_is_a_stall_and_a_long_queue_is_not() -> None:
    looks = Looks()
    assert {looks.look(0, f"{n // 9}-0") for n in range(90)} == {""}
    results = [looks.look(0, "100-0") for n in range(11)]
    assert results[:10] == [""] * 10
    assert results[10] == "its oldest order has not moved"
    assert looks.look(0, "101-0") == ""
    assert {looks.look(0) for _ in range(30)} == {""}


def test_resting_orders_without_a_watcher_are_reported() -> None:
    looks = Looks()
    assert {looks.look(0, watchers=0) for _ in range(20)} == {""}
    results = [looks.look(0, watchers=0, resting=3) for _ in range(11)]
    assert (results[0], results[-1]) == ("", "no worker follows prices and pools")
    assert looks.look(0, resting=3) == ""


def test_an_outage_of_the_log_is_not_a_stall_of_the_stages() -> None:
    looks = Looks()
    looks.look(0, "1-0")
    looks.stalls.forget()
    looks.now += 60
    assert looks.look(60_000, "1-0") == ""
