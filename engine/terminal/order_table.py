"""The orders that changed last, as a live table. Pure, except for `table`, which draws it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.terminal.counts import counted
from engine.terminal.event_lines import clock, route
from engine.terminal.styles import STATUS_STYLES

if TYPE_CHECKING:
    from rich.table import Table

KEPT = 200
ID_WIDTH, WIDE = 36, 120
RATE_S = 5.0
STEPS = {"pending": 1, "watching": 1, "routing": 2, "building": 3, "submitted": 4, "confirmed": 5}
TERMINAL = ("confirmed", "failed", "expired", "cancelled")


class Row:
    """One order of the table."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.status = self.swap = self.venue = self.price = self.note = ""
        self.began = self.changed = ""
        self.version = 0
        self.asked = False
        """Whether its beginning was looked for."""

    def take(self, frame: dict[str, Any]) -> None:
        """Applies an event's frame."""
        self.status, self.changed = frame["status"], frame["timestamp"]
        self.version = frame.get("version", 0)
        self.note = frame.get("error") or frame.get("reason") or ""
        if frame["event"] == "OrderSubmitted":
            self.began = frame["timestamp"]
            amount = f"{frame['amount']} {frame['tokenIn']}"
            self.swap = f"{amount} → {frame['tokenOut']}"
            if frame["swapMode"] == "exactOut":
                self.swap = f"{frame['tokenIn']} → {frame['amount']} {frame['tokenOut']}"
        if "legs" in frame or "dex" in frame:
            self.venue = route(frame)
        self.price = frame.get("executedPrice") or frame.get("price") or self.price

    @property
    def took(self) -> str:
        """From the submission to the newest event."""
        if not self.began:
            return ""
        took = datetime.fromisoformat(self.changed) - datetime.fromisoformat(self.began)
        return f"{took.total_seconds():.3f} s"


class Board:
    """The orders that changed last."""

    def __init__(self, kept: int = KEPT, *, live_after: int = 0) -> None:
        """`live_after`: the log's position when the table began; events up to there are past, and
        do not count in the rate.
        """
        self._kept = kept
        self._live_after = live_after
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._times: deque[float] = deque()
        self.events = 0
        self.ended: dict[str, int] = {}

    def take(self, frame: dict[str, Any], now_s: float) -> None:
        """Applies an event's frame, received at `now_s`."""
        if "orderId" not in frame or frame["status"] in ("halted", "running"):
            return
        self.events += 1
        if frame.get("position", self._live_after + 1) > self._live_after:
            self._times.append(now_s)
        row = self._rows.pop(frame["orderId"], None) or Row(frame["orderId"])
        row.take(frame)
        self._rows[row.order_id] = row
        if row.status in TERMINAL:
            self.ended[row.status] = self.ended.get(row.status, 0) + 1
        while len(self._rows) > self._kept:
            self._rows.popitem(last=False)

    def headless(self) -> list[str]:
        """The orders whose first event was not received and not looked for; now it is."""
        rows = [row for row in reversed(self._rows.values()) if not (row.began or row.asked)]
        for row in rows:
            row.asked = True
        return [row.order_id for row in rows]

    def fill(self, order_id: str, history: Sequence[dict[str, Any]]) -> None:
        """Applies an order's history to its row; events newer than the row are still to come."""
        row = self._rows.get(order_id)
        if row is None:
            return
        filled = Row(order_id)
        filled.asked = True
        for frame in history:
            if frame["version"] <= row.version:
                filled.take(frame)
        if filled.version == row.version:
            self._rows[order_id] = filled
        else:  # an event came meanwhile, which this history lacks
            row.asked = False

    def rows(self, most: int) -> list[Row]:
        """The newest first, in the order in which they began: a row stays where it is."""
        newest = list(self._rows.values())[-most:]
        return sorted(newest, key=lambda row: row.order_id, reverse=True)

    def rate(self, now_s: float) -> float:
        """Events a second, over the last RATE_S seconds."""
        while self._times and self._times[0] < now_s - RATE_S:
            self._times.popleft()
        return len(self._times) / RATE_S

    def summary(self, now_s: float) -> str:
        """One line below the table."""
        ended = " · ".join(f"{count} {status}" for status, count in self.ended.items())
        events = counted(self.events, "event")
        return f"{events} · {self.rate(now_s):.1f}/s" + (f" · {ended}" if ended else "")


def table(board: Board, most: int, now_s: float, width: int) -> Table:
    """Draws the table for a terminal of `width` columns. From WIDE columns on, ids are not cut."""
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=None, header_style="bold", caption=board.summary(now_s), expand=True)
    drawn.add_column("at", no_wrap=True, min_width=12)
    drawn.add_column("order", no_wrap=True, min_width=ID_WIDTH if width >= WIDE else 8)
    drawn.add_column("swap", no_wrap=True, min_width=16)
    drawn.add_column("status", no_wrap=True, min_width=16)
    drawn.add_column("by", no_wrap=True, overflow="ellipsis")
    drawn.add_column("price", no_wrap=True, justify="right", min_width=12)
    drawn.add_column("took", no_wrap=True, justify="right", min_width=7)
    drawn.add_column("", overflow="ellipsis", no_wrap=True, style="dim")
    for row in board.rows(most):
        bar = "●" * STEPS.get(row.status, 5)
        style = STATUS_STYLES.get(row.status, "")
        status = f"[{style}]{bar:<5} {row.status}[/]" if style else f"{bar:<5} {row.status}"
        cells = (
            clock(row.changed),
            row.order_id,
            row.swap,
            row.venue,
            row.price,
            row.took,
            row.note,
        )
        at, order, swap, venue, price, took, note = map(escape, cells)
        drawn.add_row(at, order, swap, status, venue, price, took, note)
    return drawn
