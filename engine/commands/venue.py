"""`engine venue ledger`: what the simulated or local chain executed, by its own record."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from engine import localchain
from engine.backends import check_holds_engine
from engine.markets import check, ledger_path
from engine.settings import Settings, SettingsError

HELP = "show the chain's own ledger, which knows nothing of our log"


class Line(NamedTuple):
    """A transaction that landed. Amounts are base units."""

    signature: str
    order_id: str
    attempt: int
    slot: int
    ok: bool
    amount_in: int
    amount_out: int
    reason: str
    fee_lamports: int = 0
    forked: bool = False
    """A fork has dropped it since."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=["ledger"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Print every transaction that landed, oldest first, and count executions per order."""
    path, read = _ledger(settings)
    if not path.exists():
        check_holds_engine(settings)
        print(f"no ledger yet: {path}")
        return 0
    rows = list(read(path))
    for row in rows:
        print(json.dumps(_shown(row)) if args.json else _line(row))
    if not args.json:
        executed = [row.order_id for row in rows if row.ok and not row.forked]
        twice = len(executed) - len(set(executed))
        print(f"{len(rows)} landed, {len(executed)} executed, {twice} orders executed twice")
    return 0


def _ledger(settings: Settings) -> tuple[Path, Callable[[Path], Iterator[Line]]]:
    """Where the ledger of what VENUES names is, and how it is read."""
    check(settings)
    if settings.venues == ("simulated",):
        return ledger_path(settings), _simulated
    if not localchain.wanted(settings):
        msg = "SOLANA_RPC_URL: only the local and the simulated chain keep a ledger for us"
        raise SettingsError(msg)
    return localchain.file(settings), _local


def _simulated(path: Path) -> Iterator[Line]:
    from stages.venues.simulated.ledger import Ledger

    ledger = Ledger(path)
    try:
        for row in sorted(ledger.rows(), key=lambda row: (row.slot, row.signature)):
            yield Line(
                row.signature, row.order_id, row.attempt, row.slot, row.ok, row.amount_in,
                row.amount_out, row.reason,
            )  # fmt: skip
    finally:
        ledger.close()


def _local(path: Path) -> Iterator[Line]:
    from stages.venues.localnet.ledger import LocalLedger

    ledger = LocalLedger(path)
    try:
        for entry in ledger.entries():
            order_id, _, attempt = entry.memo.partition("/")
            yield Line(
                entry.signature, order_id, int(attempt) if attempt.isdigit() else 1, entry.slot,
                entry.ok, entry.amount_in, entry.amount_out, entry.error, entry.fee, entry.forked,
            )  # fmt: skip
    finally:
        ledger.close()


def _shown(row: Line) -> dict[str, object]:
    return {
        "signature": row.signature,
        "orderId": row.order_id,
        "attempt": row.attempt,
        "slot": row.slot,
        "ok": row.ok,
        "amountIn": str(row.amount_in),
        "amountOut": str(row.amount_out),
        "reason": row.reason,
        "feeLamports": str(row.fee_lamports),
        "forked": row.forked,
    }


def _line(row: Line) -> str:
    end = f"out={row.amount_out}" if row.ok else row.reason
    dropped = "  dropped by a fork" if row.forked else ""
    return f"{row.slot}  {row.order_id}  attempt={row.attempt}  in={row.amount_in}  {end}{dropped}"
