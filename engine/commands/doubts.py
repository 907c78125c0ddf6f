"""`engine doubts`: orders that were sent and whose outcome no node tells."""

import argparse
import json
import sys

from engine.embedded import localnet
from engine.embedded.data_dir import running
from engine.embedded.stores import reading, records
from engine.recovery.chain_history import ChainError, open_wallet
from engine.settings import Settings
from engine.telemetry.logging import quiet
from engine.terminal import argument_types
from engine.terminal.operator_name import whoami
from engine.venues import chain_of
from events.commands import doubts
from events.order import Order
from projections.views.formats import timestamp

HELP = "list or close orders whose outcome no node reports"
EXAMPLES = (
    "engine doubts list",
    'engine doubts close 01a21e50-41f2-7000-9b84-c17e942321be --reason "not in the wallet"',
)
EXITS = {
    0: "done",
    1: "not allowed in its state, or the chain cannot be asked",
    2: "the records cannot be read",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("list", help="all of them, newest first")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    closed = what.add_parser(
        "close",
        help="fail an order as `outcome-unknown`, once its transaction cannot land any more:"
        " look into the wallet first",
    )
    closed.add_argument("order", metavar="ORDER", type=argument_types.order_id, help="order id")
    closed.add_argument("--json", action="store_true", help="print one JSON object")
    closed.add_argument("--reason", default="closed by an operator", help="why")
    closed.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Do it."""
    quiet()
    work = _list if args.what == "list" else _close
    return reading(lambda: work(settings, args))


async def _list(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (_, archive):
        doubted = await doubts.in_doubt(archive)
    for order in doubted.orders:
        print(json.dumps(_row(order)) if args.json else "  ".join(_row(order).values()))
    if not args.json:
        more = "" if doubted.all_seen else f" among the newest {doubts.LOOKED_AT_MAX:,} submitted"
        print(f"{len(doubted.orders)} in doubt{more}")
    return 0


def _row(order: Order) -> dict[str, str]:
    sent_us = order.transaction.submitted_at_us if order.transaction else 0
    return {
        "submittedAt": timestamp(sent_us),
        "orderId": order.id,
        "signature": order.signature or "",
        "detail": order.doubt,
    }


async def _close(settings: Settings, args: argparse.Namespace) -> int:
    settings = localnet.with_chain(settings, running(settings.data_dir))
    async with records(settings, chain=chain_of(settings)) as (log, _):
        try:
            with localnet.local_chain_running(settings) as reached:
                wallet = open_wallet(reached)
                try:
                    height = await wallet.finalized()
                finally:
                    await wallet.close()
            order = await doubts.close(log, args.order, height, args.reason, args.actor)
        except (doubts.NotAllowed, ChainError, OSError) as error:
            print(f"engine: {error}", file=sys.stderr)
            return 1
    told = {"orderId": args.order, "status": order.status, "reason": order.reason}
    print(json.dumps(told) if args.json else f"{args.order}  {order.status}  {order.reason}")
    return 0
