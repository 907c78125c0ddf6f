"""The chain's storage: one SQLite file with accounts, blocks and landed transactions.

It is written once per batch, in one transaction, before any call is answered: a killed process
continues where it was. A power cut is not simulated.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from engine.localnet.landed import Details, Landed
from engine.localnet.programs.context import Swapped
from engine.localnet.state.accounts import Account
from engine.localnet.state.blocks import KEPT, Block

BLOCKS_KEPT = 100_000
DETAILS_KEPT = 200_000
"""Transactions whose bytes and logs are kept."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    address TEXT PRIMARY KEY, lamports INTEGER NOT NULL, owner TEXT NOT NULL,
    data BLOB NOT NULL, executable INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS blocks (
    height INTEGER PRIMARY KEY, slot INTEGER NOT NULL, blockhash TEXT NOT NULL,
    time_s INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS landed (
    id INTEGER PRIMARY KEY, signature TEXT NOT NULL, slot INTEGER NOT NULL,
    height INTEGER NOT NULL, time_s INTEGER NOT NULL, ok INTEGER NOT NULL, error TEXT NOT NULL,
    fee INTEGER NOT NULL, units INTEGER NOT NULL, memo TEXT NOT NULL, payer TEXT NOT NULL,
    mint_in TEXT NOT NULL, mint_out TEXT NOT NULL, amount_in TEXT NOT NULL,
    amount_out TEXT NOT NULL, swaps TEXT NOT NULL, forked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS landed_signature ON landed (signature);
CREATE INDEX IF NOT EXISTS landed_memo ON landed (memo);
CREATE INDEX IF NOT EXISTS landed_payer ON landed (payer, id);
CREATE TABLE IF NOT EXISTS named (
    address TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (address, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS details (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
_SELECT_LANDED = (
    "SELECT l.signature, l.slot, l.height, l.time_s, l.error, l.fee, l.units, l.memo, l.payer,"
    " l.swaps, d.body FROM landed l LEFT JOIN details d ON d.id = l.id"
)
_encode = msgspec.msgpack.Encoder().encode
_details = msgspec.msgpack.Decoder(Details).decode


class Store:
    """Raises OSError for errors of SQLite, and where another process has the file: two chains
    writing one file would create money.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(f"{path.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise OSError(f"local chain {path}: another process runs it") from None
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_SCHEMA)
            newest = self._db.execute("SELECT max(id) FROM landed").fetchone()[0]
        except sqlite3.Error as error:
            raise OSError(f"local chain {path}: {error}") from error
        self.path = path
        self._next = (newest or 0) + 1

    def meta(self, key: str) -> str:
        """A stored text; empty where there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def accounts(self) -> dict[str, Account]:
        """Every account."""
        rows = self._db.execute("SELECT address, lamports, owner, data, executable FROM accounts")
        return {row[0]: Account(row[1], row[2], row[3], bool(row[4])) for row in rows}

    def blocks(self) -> list[Block]:
        """The newest blocks, oldest first, without transactions and earlier accounts."""
        rows = self._db.execute(
            "SELECT slot, height, blockhash, time_s FROM blocks ORDER BY height DESC LIMIT ?",
            (KEPT,),
        ).fetchall()
        return [Block(row[0], row[1], row[2], row[3], {}, []) for row in reversed(rows)]

    def since(self, height: int) -> list[Landed]:
        """The transactions of a height and after it, oldest first."""
        return self._find("height >= ?", height)

    def landed(self, signature: str) -> Landed | None:
        """The transaction with a signature, unless a fork dropped it."""
        landed = self._find("signature = ?", signature)
        return landed[-1] if landed else None

    def of_account(
        self, address: str, *, height: int, before: str, until: str, limit: int
    ) -> list[Landed]:
        """The newest transactions up to a height that a wallet paid for or that name it, newest
        first. They are older than signature `before` and newer than `until`, unless those are
        empty.
        """
        numbers = "SELECT id FROM landed WHERE forked = 0 AND signature"
        older = f"AND l.id < coalesce(({numbers} = ?), 0)" if before else ""
        younger = f"AND l.id > coalesce(({numbers} = ?), 0)" if until else ""
        which = f"AND l.height <= ? AND l.forked = 0 {older} {younger}"
        newest = f"ORDER BY l.id DESC LIMIT {int(limit)}"
        paid = f"SELECT l.id FROM landed l WHERE l.payer = ? {which} {newest}"  # noqa: S608  # constants only
        join = "SELECT l.id FROM named n JOIN landed l ON l.id = n.id WHERE n.address = ?"
        both = f"SELECT * FROM ({paid}) UNION ALL SELECT * FROM ({join} {which} {newest})"  # noqa: S608  # constants only
        query = f"{_SELECT_LANDED} WHERE l.id IN ({both}) {newest}"
        values = [address, height, *(signature for signature in (before, until) if signature)]
        return [_landed(row) for row in self._db.execute(query, [*values, *values])]

    def time_of(self, slot: int) -> int | None:
        """The Unix time of a slot's block; None where it has none."""
        row = self._db.execute("SELECT time_s FROM blocks WHERE slot = ?", (slot,)).fetchone()
        return int(row[0]) if row else None

    def slot_before(self, time_s: int) -> int | None:
        """The newest slot whose block was made by a time; None before the first block."""
        row = self._db.execute("SELECT max(slot) FROM blocks WHERE time_s <= ?", (time_s,))
        slot = row.fetchone()[0]
        return None if slot is None else int(slot)

    def save(
        self,
        *,
        accounts: Mapping[str, Account | None],
        blocks: Iterable[Block],
        landed: Iterable[Landed],
        forked: Iterable[tuple[str, int]] = (),
        meta: Mapping[str, str],
    ) -> None:
        """Writes all of it, or nothing. `forked`: signature and least height of dropped ones."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            for signature, height in forked:
                db.execute(
                    "UPDATE landed SET forked = 1 WHERE signature = ? AND height >= ?",
                    (signature, height),
                )
            self._save_accounts(accounts)
            for block in blocks:
                row = (block.height, block.slot, block.blockhash, block.time_s)
                db.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)", row)
                if block.height % 1_000 == 0:
                    self._forget(block.height)
            self._save_landed(landed)
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise OSError(f"local chain: {error}") from error

    def _save_accounts(self, accounts: Mapping[str, Account | None]) -> None:
        rows = [(address, *account) for address, account in accounts.items() if account is not None]
        self._db.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)", rows)
        gone = [(address,) for address, account in accounts.items() if account is None]
        if gone:
            self._db.executemany("DELETE FROM accounts WHERE address = ?", gone)

    def _save_landed(self, landed: Iterable[Landed]) -> None:
        rows, bodies = [], []
        named: list[tuple[str, int]] = []
        for each in landed:
            rows.append(_row(self._next, each))
            named += [(wallet, self._next) for wallet in each.details.wallets]
            bodies.append((self._next, _encode(each.details)))
            self._next += 1
        marks = ", ".join("?" * 16)
        self._db.executemany(f"INSERT INTO landed VALUES ({marks}, 0)", rows)  # noqa: S608
        self._db.executemany("INSERT INTO details VALUES (?, ?)", bodies)
        self._db.executemany("INSERT INTO named VALUES (?, ?)", named)

    def _forget(self, height: int) -> None:
        self._db.execute("DELETE FROM blocks WHERE height <= ?", (height - BLOCKS_KEPT,))
        self._db.execute("DELETE FROM details WHERE id <= ?", (self._next - DETAILS_KEPT,))

    def _find(self, where: str, value: object) -> list[Landed]:
        rows = self._db.execute(
            f"{_SELECT_LANDED} WHERE l.{where} AND l.forked = 0 ORDER BY l.id", (value,)
        )
        return [_landed(row) for row in rows]

    def close(self) -> None:
        """Closes the file, which another process may open then."""
        self._db.close()
        self._lock.close()


def _row(number: int, each: Landed) -> tuple[object, ...]:
    mint_in = each.swaps[0].mint_in if each.swaps else ""
    mint_out = each.swaps[-1].mint_out if each.swaps else ""
    amount_in = sum(swap.amount_in for swap in each.swaps if swap.mint_in == mint_in)
    amount_out = sum(swap.amount_out for swap in each.swaps if swap.mint_out == mint_out)
    return (
        number, each.signature, each.slot, each.height, each.time_s, int(each.err is None),
        "" if each.err is None else json.dumps(each.err), each.fee, each.units, each.memo,
        each.payer, mint_in, mint_out, str(amount_in), str(amount_out), json.dumps(each.swaps),
    )  # fmt: skip


def _landed(row: tuple[object, ...]) -> Landed:
    signature, slot, height, time_s, error, fee, units, memo, payer, swaps, body = row
    values = (signature, slot, height, time_s, json.loads(str(error)) if error else None, fee,
              units, memo, payer, [Swapped(*swap) for swap in json.loads(str(swaps))],
              _details(body) if body else Details(b"", [], [], [], [], []))  # type: ignore[arg-type]  # fmt: skip
    return Landed(*values)  # type: ignore[arg-type]  # what `_row` wrote
