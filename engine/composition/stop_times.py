"""The stop times, and that each fits into the next: parts, process, supervisor.

A constant stands where it is used. The file of a process calls its `check_…` when it is imported:
a wrong order of the constants ends the import, before anything runs. Raises AssertionError.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.processes.lifecycle import STOP_PATIENCE_S


class StopTime(NamedTuple):
    """The longest that one part of a stop takes."""

    what: str
    seconds: float


PROCESS = StopTime("a process that is asked to stop", STOP_PATIENCE_S)


def check_fits(parts: tuple[StopTime, ...], into: StopTime, *, margin: bool = True) -> None:
    """Asserts that the parts, one after the other, end before `into` does; without `margin`, at
    the latest when it does.
    """
    total_s = sum(part.seconds for part in parts)
    names = " + ".join(f"{part.what} ({part.seconds} s)" for part in parts)
    fits = total_s < into.seconds if margin else total_s <= into.seconds
    assert fits, f"{names} must end before {into.what} is ended ({into.seconds} s)"


def check_gateway() -> None:
    """Streams, then sockets, then requests have their time before the gateway is ended."""
    from gateway import app
    from gateway.streaming import sse, websocket

    parts = (
        StopTime("closing the event streams", sse.SHUTDOWN_S),
        StopTime("closing the sockets", websocket.SHUTDOWN_S),
        StopTime("requests under way", app.SHUTDOWN_S),
    )
    check_fits(parts, PROCESS)


def check_stages() -> None:
    """A stage ends its orders in hand and puts the others back before it is ended."""
    from stages.runtime import runner
    from stages.triggers import runner as triggers

    orders_in_hand = StopTime("the orders in hand", runner.STOP_S)
    check_fits(
        (orders_in_hand, StopTime("putting the rest back", runner.LEAVE_S)), PROCESS, margin=False
    )
    check_fits((StopTime("giving the pairs back", triggers.LEAVE_S),), PROCESS)


def check_projector() -> None:
    """The batch that is being written ends before the projector is ended."""
    from projections.postgres import session

    check_fits((StopTime("the batch being written", session.STOP_S),), PROCESS, margin=False)


def check_supervisor() -> None:
    """A process ends by itself before the supervisor kills it."""
    from engine.processes import supervisor

    check_fits((PROCESS,), StopTime("a group of processes", supervisor.STOP_S))
