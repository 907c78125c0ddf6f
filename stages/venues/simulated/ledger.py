"""The simulated chain's own record of what landed, outside the workers and the log.

A SQLite file that all processes share: it survives kills and knows nothing of orders being done
twice; only a signature lands once, as on a real chain. Tests count executions here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

STATUSES_PER_QUERY = 256
BUSY_S = 5.0
"""How long another process may hold the file."""
RETRY_S = 0.01

_SCHEMA = """
CREATE TABLE IF NOT EXISTS landed (
    order_id   TEXT NOT NULL,
    signature  TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    slot       INTEGER NOT NULL,
    ok         INTEGER NOT NULL,
    amount_in  TEXT NOT NULL,
    amount_out TEXT NOT NULL,
    reason     TEXT NOT NULL,
    visible_us INTEGER NOT NULL,
    -- Order ids are made in order of time: rows are written side by side.
    PRIMARY KEY (order_id, signature)
) WITHOUT ROWID
"""
_COLUMNS = "order_id, signature, attempt, slot, ok, amount_in, amount_out, reason, visible_us"


class Landed(NamedTuple):
    """A transaction that the simulated chain took. Amounts are base units."""

    order_id: str
    signature: str
    attempt: int
    slot: int
    ok: bool
    amount_in: int
    amount_out: int
    reason: str
    visible_us: int
    """From when on the chain answers for it."""


def _landed(row: tuple[str, str, int, int, int, str, str, str, int]) -> Landed:
    order_id, signature, attempt, slot, ok, amount_in, amount_out, reason, visible_us = row
    return Landed(
        order_id, signature, attempt, slot, bool(ok), int(amount_in), int(amount_out), reason,
        visible_us,
    )  # fmt: skip


def _use_wal(db: sqlite3.Connection) -> None:
    """SQLite may refuse this at once, without its timeout, while another process does the same."""
    end_s = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
                raise
            time.sleep(RETRY_S)
        else:
            return


class Ledger:
    """Raises OSError for whatever SQLite has to complain about."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            _use_wal(self._db)
            # Kills of processes lose nothing that is written; a power cut is not simulated.
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"venue ledger {path}: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """Holds the only write lock; what was recorded inside is committed when it ends."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise OSError(f"venue ledger: {error}") from error

    def land(self, transactions: Sequence[Landed]) -> None:
        """Records landed transactions; a signature that is recorded already changes nothing. Inside
        `writing` only.
        """
        rows = [
            (t.order_id, t.signature, t.attempt, t.slot, int(t.ok), str(t.amount_in),
             str(t.amount_out), t.reason, t.visible_us)
            for t in transactions
        ]  # fmt: skip
        self._db.executemany(
            "INSERT OR IGNORE INTO landed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )

    def find(self, order_ids: Sequence[str]) -> dict[str, Landed]:
        """The landed transactions of these orders, by signature."""
        landed: dict[str, Landed] = {}
        try:
            for at in range(0, len(order_ids), STATUSES_PER_QUERY):
                some = order_ids[at : at + STATUSES_PER_QUERY]
                marks = ",".join("?" * len(some))
                rows = self._db.execute(
                    f"SELECT {_COLUMNS} FROM landed WHERE order_id IN ({marks})",  # noqa: S608  # constants only
                    some,
                )
                landed.update((row[1], _landed(row)) for row in rows)
        except sqlite3.Error as error:
            raise OSError(f"venue ledger: {error}") from error
        return landed

    def rows(self) -> Iterator[Landed]:
        """Everything that ever landed, in no particular order. Raises OSError."""
        try:
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM landed"):  # noqa: S608  # constants only
                yield _landed(row)
        except sqlite3.Error as error:
            raise OSError(f"venue ledger: {error}") from error

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
