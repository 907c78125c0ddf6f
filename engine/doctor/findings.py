"""The findings of the doctor."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Status = Literal["ok", "warning", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report: the subject, its state, and how to repair it."""

    name: str
    status: Status
    detail: str
    mend: str = ""
    command: str = ""
    """The command that repairs it; empty without one."""


def ok(name: str, detail: str) -> Finding:
    """The subject is in order."""
    return Finding(name, "ok", detail)


def warning(name: str, detail: str, mend: str) -> Finding:
    """The subject works now, and may fail later."""
    return Finding(name, "warning", detail, mend)


def failed(name: str, detail: str, mend: str, command: str = "") -> Finding:
    """Orders cannot be executed, or not safely."""
    return Finding(name, "failed", detail, mend, command)


def skipped(name: str, detail: str) -> Finding:
    """The check does not apply."""
    return Finding(name, "skipped", detail)


class Own(NamedTuple):
    """An embedded server: a child of `engine up`."""

    name: str
    pid: int


HANGING = ("timed out", "timeout", "no answer in time")
SILENT = ("refused", "no such file", *HANGING)


def own_mend(text: str, own: Own) -> str:
    """How to repair that a child of `engine up` cannot be reached; `text`: the error's."""
    if any(sign in text.lower() for sign in HANGING):
        return f"kill -9 {own.pid}: it hangs, and `engine up` starts it again"
    if any(sign in text.lower() for sign in SILENT):
        return f"look into logs/{own.name}.log of DATA_DIR: `engine up` starts it again and again"
    return f"look into logs/{own.name}.log of DATA_DIR: it runs, and refuses the engine"


def reach_mend(error: Exception, setting: str, own: Own | None = None) -> str:
    """How to repair that a server cannot be reached: start it, where nothing listens at its
    address; else the address, login or database is wrong. `own`: `engine up` runs the server.
    """
    text = f"{type(error).__name__} {error}".lower()
    if own is not None:
        return own_mend(text, own)
    if any(sign in text for sign in SILENT):
        return f"start the server that {setting} names"
    return f"correct {setting}"


SKEW_WARNING_S = 0.5
SKEW_FAILED_S = 10.0


def skew(name: str, ours_s: float, theirs_s: float) -> Finding:
    """Compares two clocks: an expiry is given by one and judged by the other."""
    apart = abs(ours_s - theirs_s)
    mend = "run an NTP client (chrony, systemd-timesyncd) on both machines"
    detail = f"{apart:.3f} s apart from this machine's"
    if apart >= SKEW_FAILED_S:
        return failed(name, detail, mend)
    return warning(name, detail, mend) if apart >= SKEW_WARNING_S else ok(name, detail)
