"""What a figure is, and how all of them are shown."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from tests.bench.cpu import Seconds


class Target(msgspec.Struct, frozen=True):
    """What the figure has to reach."""

    text: str
    reached: bool


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table. Yardsticks are in the figure's own unit."""

    letter: str
    what: str
    value: float
    unit: str
    set_yardstick: float | None = None
    post_yardstick: float | None = None
    targets: tuple[Target, ...] = ()
    note: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of each process while so many orders went through."""

    what: str
    orders: int
    seconds: float
    spent: Seconds


class Outcome(msgspec.Struct, frozen=True):
    """What measuring one letter came to."""

    figures: tuple[Figure, ...]
    profile: Profile | None = None


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for a terminal."""
    head = ("", "figure", "value", "SET", "ratio", "bare POST", "ratio", "target")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row, figure in zip(rows, (None, *figures), strict=True):
        cells = [
            cell.ljust(width) if i in (0, 1, 7) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if figure is not None and figure.note:
            lines.append(f"   {figure.note}")
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.letter,
        figure.what,
        f"{number(figure.value)} {figure.unit}",
        *_yardstick(figure.value, figure.set_yardstick),
        *_yardstick(figure.value, figure.post_yardstick),
        "; ".join(f"{t.text} {'yes' if t.reached else 'NO'}" for t in figure.targets),
    )


def _yardstick(value: float, yardstick: float | None) -> tuple[str, str]:
    if not yardstick:
        return "", ""
    ratio = value / yardstick
    return number(yardstick), f"{ratio:.2f} x" if ratio >= 0.1 else f"{ratio:.4f} x"


def number(value: float) -> str:
    """Return a number with three digits or so that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def profiles(profiles: Sequence[Profile]) -> str:
    """Return µs of CPU an order and process, one column a profile."""
    names = list(dict.fromkeys(name for profile in profiles for name in profile.spent))
    lines = ["CPU, µs an order".ljust(18) + "".join(p.what.rjust(22) for p in profiles)]
    for name in names:
        cells = [f"{p.spent.get(name, 0.0) / p.orders * 1e6:.1f}" for p in profiles]
        lines.append(name.ljust(18) + "".join(cell.rjust(22) for cell in cells))
    totals = [
        f"{sum(s for name, s in p.spent.items() if name != 'others') / p.orders * 1e6:.1f}"
        for p in profiles
    ]
    lines.append("all but others".ljust(18) + "".join(cell.rjust(22) for cell in totals))
    # What a busy neighbour cannot change: the rate at which our own work would fill the machine.
    full = [f"{(os.cpu_count() or 1) * 1e6 / float(total):,.0f}/s" for total in totals]
    lines.append("all cores ours".ljust(18) + "".join(cell.rjust(22) for cell in full))
    return "\n".join(lines)
