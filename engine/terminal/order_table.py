"""Orders as a table that keeps up with their events. Pure, but for `table`, which draws it."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.terminal.event_lines import clock, route

if TYPE_CHECKING:
    from rich.table import Table

KEPT = 200
ID_WIDTH, WIDE = 36, 120
RATE_S = 5.0
STYLES = {
    "confirmed": "green", "failed": "red", "expired": "yellow", "cancelled": "yellow",
    "submitted": "cyan", "watching": "magenta",
}  # fmt: skip
STEPS = {"pending": 1, "watching": 1, "routing": 2, "building": 3, "submitted": 4, "confirmed": 5}
TERMINAL = ("confirmed", "failed", "expired", "cancelled")


class Row:
    """What is known of an order."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.status = self.swap = self.venue = self.price = self.note = ""
        self.began = self.changed = ""

    def take(self, frame: dict[str, Any]) -> None:
        """One more event."""
        self.status, self.changed = frame["status"], frame["timestamp"]
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

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._times: deque[float] = deque()
        self.events = 0
        self.ended: dict[str, int] = {}

    def take(self, frame: dict[str, Any], now_s: float) -> None:
        """An event, and when it came."""
        if "orderId" not in frame or frame["status"] in ("halted", "running"):
            return
        self.events += 1
        self._times.append(now_s)
        row = self._rows.pop(frame["orderId"], None) or Row(frame["orderId"])
        row.take(frame)
        self._rows[row.order_id] = row
        if row.status in TERMINAL:
            self.ended[row.status] = self.ended.get(row.status, 0) + 1
        while len(self._rows) > self._kept:
            self._rows.popitem(last=False)

    def rows(self, most: int) -> list[Row]:
        """The newest first, in the order in which they began: a row stays where it is."""
        newest = list(self._rows.values())[-most:]
        return sorted(newest, key=lambda row: row.order_id, reverse=True)

    def rate(self, now_s: float) -> float:
        """Events a second, of late."""
        while self._times and self._times[0] < now_s - RATE_S:
            self._times.popleft()
        return len(self._times) / RATE_S

    def summary(self, now_s: float) -> str:
        """One line below the table."""
        ended = " · ".join(f"{count} {status}" for status, count in self.ended.items())
        return f"{self.events} events · {self.rate(now_s):.1f}/s" + (f" · {ended}" if ended else "")


def table(board: Board, most: int, now_s: float, width: int) -> Table:
    """Draw it, for a terminal of so many columns; needs rich. From WIDE columns on the ids are
    whole, whatever else is long.
    """
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
        style = STYLES.get(row.status, "")
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
