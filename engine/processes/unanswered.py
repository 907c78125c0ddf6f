"""Whether a server that shows no sign of life of its own still answers.

It is asked in a thread, one question at a time: nothing that hangs stops the supervisor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

CALM_LOOKS = 5
"""A server that answered is asked again after so many looks: Postgres forks for each question."""


class Unanswered:
    """Counts the questions in a row that got no answer.

    Questions are counted, not clock time: after the whole machine was suspended, a server gets the
    full time again. A question that has not ended is not counted.
    """

    def __init__(self, ask: Callable[[], bool]) -> None:
        """`ask` answers whether the server does, within a look. It may take longer where the disk
        hangs: the server may wait for the disk, too, and is not to blame.
        """
        self.count = 0
        self._ask = ask
        self._calm = 0
        self._thread: threading.Thread | None = None

    def forget(self) -> None:
        """Another process is asked from now on."""
        self.count = self._calm = 0
        self._thread = None

    def look(self) -> int:
        """Asks, unless a question has not ended; returns how many got no answer."""
        if self._thread is not None and self._thread.is_alive():
            return self.count
        if self._calm:
            self._calm -= 1
            return self.count
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()
        return self.count

    def _take(self) -> None:
        thread = threading.current_thread()
        answered = self._ask()
        if thread is not self._thread:  # of a process that has ended since
            return
        self.count = 0 if answered else self.count + 1
        self._calm = CALM_LOOKS if answered else 0
