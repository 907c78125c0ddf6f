"""`engine venue ledger`: what the local or simulated chain executed, by its own record."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.embedded.backends import check_holds_engine
from engine.settings import Settings
from engine.venues import ledger_path
from events.ids import parse_order_id
from events.money import to_tokens

if TYPE_CHECKING:
    from engine.localnet.ledger import Entry

HELP = "show the ledger of the chain, which is independent of the log"
EXAMPLES = ("engine venue ledger",)
EXITS = {0: "shown", 1: "no engine there"}


class Row(NamedTuple):
    """A transaction that a block took."""

    order_id: str
    executed: bool
    """It is a swap of an order, went well, and is on the chain as it is now."""
    line: str
    shown: dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("what", choices=["ledger"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints every transaction that landed, oldest first, and counts executions per order."""
    from engine.localnet.open import FILE

    if settings.solana_rpc_url and settings.venues != ("simulated",):
        print("the chain at SOLANA_RPC_URL keeps its own record: look up an order's txHash there")
        return 0
    simulated, local = ledger_path(settings), settings.data_dir / FILE
    path, other = (simulated, local) if settings.venues == ("simulated",) else (local, simulated)
    if not path.exists() and other.exists():
        path = other  # VENUES was set for the engine, and not for this command
    if not path.exists():
        check_holds_engine(settings)
        print(f"no ledger yet: {path}")
        return 0
    rows = list(_simulated(path) if path == simulated else _local(path))
    for row in rows:
        print(json.dumps(row.shown) if args.json else row.line)
    if not args.json:
        executed = Counter(row.order_id for row in rows if row.executed)
        twice = sum(count > 1 for count in executed.values())
        done = executed.total()
        print(f"{len(rows)} landed, {done} executed, {twice} executed twice")
    return 0


def _local(path: Path) -> Iterator[Row]:
    """Of `engine localnet`: a memo is an order's id, and of its replacements `/` and a number."""
    from engine.localnet.ledger import LocalLedger

    ledger = LocalLedger(path)
    entries = list(ledger.entries())
    ledger.close()
    for entry in entries:
        order_id, _, attempt = entry.memo.partition("/")
        shown = entry._asdict()
        for at in ("amount_in", "amount_out"):  # may exceed what a JSON number holds elsewhere
            shown[at] = str(shown[at])
        yield Row(
            order_id,
            _is_swap_of_order(entry, order_id) and entry.ok and not entry.forked,
            f"{entry.slot}  {order_id}  attempt={attempt or 1}  {_local_end(entry)}",
            {_camel(name): value for name, value in shown.items()} | {"orderId": order_id},
        )


def _is_swap_of_order(entry: Entry, order_id: str) -> bool:
    """Others write memos too, and may send to the wallet what names an order."""
    return parse_order_id(order_id) is not None and bool(entry.mint_in)


def _local_end(entry: Entry) -> str:
    end = f"fee={entry.fee}  {entry.error}"
    if entry.ok and entry.mint_in:
        sold = _named(entry.mint_in, entry.amount_in)
        bought = _named(entry.mint_out, entry.amount_out)
        end = f"{sold} -> {bought}  fee={entry.fee}"
    return f"{end}  dropped by a fork" if entry.forked else end


def _named(mint: str, amount: int) -> str:
    from engine.localnet.genesis.market import BY_MINT

    token = BY_MINT.get(mint)
    return f"{to_tokens(amount, token.decimals)} {token.symbol}" if token else str(amount)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _simulated(path: Path) -> Iterator[Row]:
    """Of VENUES=simulated."""
    from stages.venues.simulated.ledger import Ledger

    ledger = Ledger(path)
    landed = sorted(ledger.rows(), key=lambda row: (row.slot, row.signature))
    ledger.close()
    for row in landed:
        end = f"out={row.amount_out}" if row.ok else row.reason
        yield Row(
            row.order_id,
            bool(row.ok),
            f"{row.slot}  {row.order_id}  attempt={row.attempt}  in={row.amount_in}  {end}",
            {
                "signature": row.signature,
                "orderId": row.order_id,
                "attempt": row.attempt,
                "slot": row.slot,
                "ok": row.ok,
                "amountIn": str(row.amount_in),
                "amountOut": str(row.amount_out),
                "reason": row.reason,
            },
        )
