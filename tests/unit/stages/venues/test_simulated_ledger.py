"""The ledger of the simulated chain, which all processes open at the same moment."""

from __future__ import annotations

import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stages.venues.simulated.ledger import Ledger


class Contended(sqlite3.Connection):
    """SQLite's answer while another process switches the same file, three times."""

    left = 3

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if "journal_mode" in sql and Contended.left:
            Contended.left -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return super().execute(sql, *args)


def test_a_file_that_another_process_opens_now_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = partial(sqlite3.connect, factory=Contended)
    monkeypatch.setattr(sqlite3, "connect", connect)
    assert list(Ledger(tmp_path / "ledger.sqlite").rows()) == []
    assert Contended.left == 0


@pytest.mark.parametrize("_", range(20))
def test_many_processes_may_open_a_new_ledger_at_once(tmp_path: Path, _: int) -> None:
    together = threading.Barrier(6)
    faults: list[OSError] = []

    def open_it() -> None:
        together.wait()
        try:
            Ledger(tmp_path / "ledger.sqlite")
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
