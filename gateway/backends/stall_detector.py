"""Detects stalled stages: no worker reads the inbox, or its front does not move.

Short pauses such as a restart or a takeover are not reported; a gateway that has just started
reports nothing yet.
"""

from __future__ import annotations

from typing import NamedTuple

from events.log import StageState, Workers
from gateway.http.readiness_reasons import Reason, reason

WATCHER = "watcher"


class StageObservation(NamedTuple):
    """What was seen of a stage; times in seconds of one clock."""

    heard_at: float
    """When one of its workers was last alive."""
    front: bytes
    front_since: float
    """Since when this entry is at the front."""


def observe(before: StageObservation | None, state: StageState, now: float) -> StageObservation:
    """The record after another look."""
    if before is None:
        return StageObservation(now, state.front, now)
    silent_s = None if state.silent_ms is None else state.silent_ms / 1000
    moved = state.front != before.front or not state.front
    return StageObservation(
        before.heard_at if silent_s is None else max(before.heard_at, now - silent_s),
        state.front,
        now if moved else before.front_since,
    )


def judge(seen: StageObservation, state: StageState, now: float, after_s: float) -> Reason | None:
    """Why the stage is stalled; None while it is not."""
    if now - seen.heard_at >= after_s:
        return reason("stage-without-worker" if state.silent_ms is None else "stage-silent")
    return reason("stage-stuck") if now - seen.front_since >= after_s else None


class Stalls:
    """The last looks; `reasons` has the stalled stages."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self.reasons: dict[str, Reason] = {}
        self._seen: dict[str, StageObservation] = {}
        self._followed_at: float | None = None

    def take(self, workers: Workers, now: float) -> None:
        """Takes another look."""
        reasons = {}
        for stage, state in workers.stages.items():
            seen = self._seen[stage] = observe(self._seen.get(stage), state, now)
            if stalled := judge(seen, state, now, self.after_s):
                reasons[stage] = stalled
        if workers.watchers or not workers.resting or self._followed_at is None:
            self._followed_at = now
        elif now - self._followed_at >= self.after_s:
            reasons.setdefault(WATCHER, reason("watcher-missing"))
        self.reasons = reasons

    def forget(self) -> None:
        """Forgets all looks: after an outage of the log no stage is to blame."""
        self.reasons = {}
        self._seen.clear()
        self._followed_at = None


class UnknownAges:
    """Since when the age of what waits is not known, by part. An age is unknown for a moment where
    what waited was gone before it was read.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._since: dict[str, float] = {}

    def unknown(self, part: str, is_unknown: bool, now: float) -> bool:
        """Takes another look; whether the age has stayed unknown for long."""
        if not is_unknown:
            self._since.pop(part, None)
            return False
        return now - self._since.setdefault(part, now) >= self._after_s
