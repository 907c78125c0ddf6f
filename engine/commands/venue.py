"""`engine venue ledger`: what the simulated chain executed, by its own record."""

import argparse
import json

from engine.backends import check_holds_engine
from engine.markets import ledger_path
from engine.settings import Settings
from stages.venues.simulated.ledger import Landed, Ledger

HELP = "show the simulated chain's ledger, which knows nothing of our log"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=["ledger"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Print every transaction that landed, oldest first, and count executions per order."""
    path = ledger_path(settings)
    if not path.exists():
        check_holds_engine(settings)
        print(f"no ledger yet: {path}")
        return 0
    ledger = Ledger(path)
    rows = sorted(ledger.rows(), key=lambda row: (row.slot, row.signature))
    ledger.close()
    for row in rows:
        print(json.dumps(_shown(row)) if args.json else _line(row))
    if not args.json:
        executed = [row.order_id for row in rows if row.ok]
        twice = len(executed) - len(set(executed))
        print(f"{len(rows)} landed, {len(executed)} executed, {twice} orders executed twice")
    return 0


def _shown(row: Landed) -> dict[str, object]:
    return {
        "signature": row.signature,
        "orderId": row.order_id,
        "attempt": row.attempt,
        "slot": row.slot,
        "ok": row.ok,
        "amountIn": str(row.amount_in),
        "amountOut": str(row.amount_out),
        "reason": row.reason,
    }


def _line(row: Landed) -> str:
    end = f"out={row.amount_out}" if row.ok else row.reason
    return f"{row.slot}  {row.order_id}  attempt={row.attempt}  in={row.amount_in}  {end}"
