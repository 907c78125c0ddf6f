"""What a check found."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "warning", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's: what was looked at, what it is, how to mend it."""

    name: str
    status: Status
    detail: str
    mend: str = ""
    command: str = ""
    """The command that mends it, where one does."""


def ok(name: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(name, "ok", detail)


def warning(name: str, detail: str, mend: str) -> Finding:
    """It works, and may not always."""
    return Finding(name, "warning", detail, mend)


def failed(name: str, detail: str, mend: str, command: str = "") -> Finding:
    """Orders cannot be executed, or not safely."""
    return Finding(name, "failed", detail, mend, command)


def skipped(name: str, detail: str) -> Finding:
    """There was nothing to look at."""
    return Finding(name, "skipped", detail)


SKEW_WARNING_S = 0.5
SKEW_FAILED_S = 10.0


def skew(name: str, ours_s: float, theirs_s: float) -> Finding:
    """Whether two clocks agree: expiry is judged by one and asked for by the other."""
    apart = abs(ours_s - theirs_s)
    mend = "run an NTP client (chrony, systemd-timesyncd) on both machines"
    detail = f"{apart:.3f} s apart from this machine's"
    if apart >= SKEW_FAILED_S:
        return failed(name, detail, mend)
    return warning(name, detail, mend) if apart >= SKEW_WARNING_S else ok(name, detail)
