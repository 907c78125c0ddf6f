"""How descriptors are shared out."""

from __future__ import annotations

import resource

import pytest

from engine.processes import file_limit
from engine.processes.open_files import OWN, limits, share_out, streams_max
from engine.processes.program import StartError


@pytest.mark.parametrize("limit", [256, 1024, 4096, 20_000, 1 << 20])
def test_everything_together_fits_below_the_limit(limit: int) -> None:
    plan = share_out(limit)
    assert OWN + plan.backlog + plan.connections <= limit
    assert 0 < plan.streams < plan.connections


def test_the_setting_holds_where_the_machine_allows_it() -> None:
    assert streams_max(1 << 20, 10_000) == 10_000
    assert streams_max(1024, 10_000) == share_out(1024).streams
    assert streams_max(1024, 5) == 5
    assert streams_max(1024, 0) == share_out(1024).streams


def test_the_limits_of_this_process_are_read() -> None:
    soft, hard = limits()
    assert 0 < soft <= hard
    assert soft <= max(resource.getrlimit(resource.RLIMIT_NOFILE)) or soft == 1 << 20


def test_a_limit_that_cannot_be_raised_stays_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refused)
    file_limit.prepare(256)
    with pytest.raises(StartError, match="may open 256 files here, 257 are needed"):
        file_limit.prepare(257)
