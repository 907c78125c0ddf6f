"""A bar on stderr for work that takes long; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

WIDTH = 30
EVERY_S = 0.1


class Progress:
    """`with Progress("replay") as show: show(done, of)`."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown_at = 0.0
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, of: int) -> None:
        """Shows how far it is, ten times a second at most."""
        now = time.monotonic()
        if not self._terminal or now - self._shown_at < EVERY_S:
            return
        self._shown_at = now
        filled = WIDTH * done // max(of, 1)
        rate = done / max(now - self._began, 1e-6)
        bar = "#" * filled + "." * (WIDTH - filled)
        print(f"\r{self._label} [{bar}] {done:,}/{of:,} {rate:,.0f}/s ", end="", file=sys.stderr)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown_at:
            print("\r\x1b[K", end="", file=sys.stderr)
