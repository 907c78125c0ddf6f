"""The local chain's record of executed transactions, by which tests count executions.

`store` writes it; any process reads it here while the chain runs. It knows orders only by the memo
that a transaction carries.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COLUMNS = (
    "signature, slot, height, ok, error, fee, units, memo, payer, "
    "mint_in, mint_out, amount_in, amount_out, forked"
)


class Entry(NamedTuple):
    """A landed transaction. Amounts are base units, fees lamports.

    The amounts are the first swap's mint in and the last one's mint out, summed over all swaps.
    """

    signature: str
    slot: int
    height: int
    ok: bool
    error: str
    """JSON of the chain's error; empty on success."""
    fee: int
    units: int
    memo: str
    payer: str
    mint_in: str
    mint_out: str
    amount_in: int
    amount_out: int
    forked: bool
    """Whether a fork dropped it. It may have landed again as another entry."""


class LocalLedger:
    """Reads the file of a chain. Raises OSError."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        except sqlite3.Error as error:
            raise OSError(f"ledger {path}: {error}") from error

    def entries(self, memo: str | None = None) -> Iterator[Entry]:
        """All landed transactions, oldest first, forked ones included."""
        query = f"SELECT {COLUMNS} FROM landed"  # noqa: S608  # constants only
        try:
            if memo is None:
                rows = self._db.execute(f"{query} ORDER BY id").fetchall()
            else:
                rows = self._db.execute(f"{query} WHERE memo = ? ORDER BY id", (memo,)).fetchall()
        except sqlite3.Error as error:
            raise OSError(f"ledger: {error}") from error
        for row in rows:
            yield _entry(row)

    def executions(self) -> dict[str, int]:
        """How often each order was executed successfully, without transactions that a fork dropped.

        The memo of an order is its id; that of a replacement has `/` and a number after it.
        """
        done = (entry for entry in self.entries() if entry.ok and not entry.forked)
        return dict(Counter(entry.memo.partition("/")[0] for entry in done))

    def close(self) -> None:
        """Closes the file."""
        self._db.close()


def _entry(row: tuple[object, ...]) -> Entry:
    values = list(row)
    for at in (3, 13):
        values[at] = bool(values[at])
    for at in (11, 12):
        values[at] = int(str(values[at]))
    return Entry(*values)  # type: ignore[arg-type]  # the columns above, in order
