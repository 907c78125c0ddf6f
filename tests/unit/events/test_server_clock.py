"""The server's clock as a process knows it: neither a skew nor a set clock moves it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from events.telemetry.server_clock import ServerClock

S = 1_000_000_000
START_NS = 1_700_000_000 * S


class Machine:
    """A machine and its log server; times in ns."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.steady_ns = 5 * S
        self.ahead_ns = int(ahead_s * S)
        self.server_ahead_ns = 0
        self.clock = ServerClock(lambda: self.wall_ns, lambda: self.steady_ns)

    @property
    def server_ns(self) -> int:
        return START_NS + self.steady_ns + self.server_ahead_ns

    @property
    def wall_ns(self) -> int:
        return START_NS + self.steady_ns + self.ahead_ns

    def ask(self, there_ns: int = 1_000_000, back_ns: int = 1_000_000) -> None:
        asked = self.steady_ns
        self.steady_ns += there_ns
        told_us = self.server_ns // 1000
        self.steady_ns += back_ns
        self.clock.observe(asked, told_us, self.steady_ns)

    def off_s(self) -> float:
        """How far the clock is from the server's."""
        return abs(self.clock.now_us() * 1000 - self.server_ns) / S


def test_before_an_answer_the_clock_of_the_machine_counts() -> None:
    machine = Machine(ahead_s=300)
    assert machine.clock.now_us() == machine.wall_ns // 1000
    assert machine.clock.skew_s is None


@pytest.mark.parametrize("ahead_s", [-420.0, -1.0, 1.0, 420.0])
def test_a_clock_that_is_off_is_not_used(ahead_s: float) -> None:
    machine = Machine(ahead_s)
    machine.ask()
    machine.steady_ns += 100 * S
    assert machine.off_s() < 0.01
    assert machine.clock.skew_s == pytest.approx(ahead_s, abs=0.01)


def test_a_clock_that_agrees_is_used_as_it_is() -> None:
    machine = Machine(ahead_s=0.02)
    machine.ask(there_ns=90_000_000, back_ns=1_000)
    assert machine.clock.now_us() == machine.wall_ns // 1000


@pytest.mark.parametrize("jump_s", [-600.0, 600.0])
def test_a_clock_that_is_set_between_two_answers_moves_nothing(jump_s: float) -> None:
    machine = Machine()
    machine.ask()
    machine.ahead_ns = int(jump_s * S)
    assert machine.off_s() < 0.01
    machine.ask()
    assert machine.off_s() < 0.01
    machine.ahead_ns = 0
    assert machine.off_s() < 0.01


def test_a_server_whose_clock_is_set_is_followed_at_the_next_answer() -> None:
    machine = Machine()
    machine.ask()
    machine.server_ahead_ns = 60 * S
    machine.ask()
    assert machine.off_s() < 0.01


def test_an_answer_that_took_long_changes_nothing_that_it_does_not_contradict() -> None:
    machine = Machine(ahead_s=300)
    machine.ask()
    machine.ask(there_ns=0, back_ns=4 * S)
    assert machine.off_s() < 0.01


def test_a_skew_is_logged_once_and_its_end_once() -> None:
    machine = Machine(ahead_s=2)
    with capture_logs() as lines:
        for ahead_s in (2, 2, 3, 0.4, 0, 0):
            machine.ahead_ns = int(ahead_s * S)
            machine.ask()
            machine.clock.report()
    assert [line["event"] for line in lines] == ["clock_skewed", "clock_agrees"]


def test_what_an_answer_leaves_open_is_not_called_a_skew() -> None:
    machine = Machine()
    machine.ask(there_ns=0, back_ns=3 * S)
    with capture_logs() as lines:
        machine.clock.report()
    assert not lines
