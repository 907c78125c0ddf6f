"""`engine parked`: orders that the engine could not process."""

import argparse
import json
import sys
from collections.abc import Sequence

from engine.embedded import localnet
from engine.embedded.data_dir import running
from engine.embedded.stores import reading, records
from engine.recovery.chain_history import open_wallet
from engine.recovery.parking_catalogue import notes
from engine.recovery.settle import settle
from engine.settings import Settings
from engine.terminal import argument_types, timeline
from engine.terminal.operator_name import whoami
from engine.venues import chain_of
from events.archive import Archive
from events.archive.history import order_history
from events.commands import parked
from events.log import EventLog, Stored
from projections.feed.cursors import cursor_prefix
from projections.views.formats import timestamp

HELP = "list, inspect, requeue, discard or settle parked orders"
EXAMPLES = (
    "engine parked list",
    "engine parked show 01a21e50-41f2-7000-9b84-c17e942321be",
    'engine parked requeue 01a21e50-41f2-7000-9b84-c17e942321be --reason "fixed in 1.4"',
    "engine parked settle 01a21e50-41f2-7000-9b84-c17e942321be",
)
EXITS = {
    0: "done",
    1: "not allowed in its state, or refused with a code",
    2: "the records cannot be read",
}

NOTES = notes()

REASONS = {
    "requeue": "requeued by an operator",
    "discard": "discarded by an operator",
    "settle": "settled by the chain's record",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("list", help="all of them, oldest first")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    shown = what.add_parser("show", help="one order's timeline")
    shown.add_argument("order", metavar="ORDER", type=argument_types.order_id, help="order id")
    shown.add_argument("--json", action="store_true", help="one JSON object an event and line")
    for name, explained in (
        ("requeue", "put an order back to work"),
        ("discard", "fail an order of which no transaction can land"),
        ("settle", "close an order by what the chain's record says of its transaction"),
    ):
        act = what.add_parser(name, help=explained)
        act.add_argument("order", metavar="ORDER", type=argument_types.order_id, help="order id")
        act.add_argument("--json", action="store_true", help="print one JSON object")
        act.add_argument("--reason", default=REASONS[name], help="why")
        act.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
        if name == "settle":
            act.add_argument(
                "--signature",
                default="",
                help="the transaction, where the order does not name it, or names several",
            )


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Do it."""
    work = WORK.get(args.what, _handle_one)
    return reading(lambda: work(settings, args))


async def _list(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, archive):
        parked_orders = await parked.parked(log, _history(log, archive))
    for entry in parked_orders:
        order = entry.order
        reason = order.parked if order else entry.fault
        status = order.status.value if order else "unknown"
        since = timestamp(entry.parked_ms * 1000)
        if args.json:
            row = {"orderId": entry.order_id, "status": status, "parkedAt": since, "reason": reason}
            print(json.dumps(row))
        else:
            print(f"{since}  {entry.order_id}  {status:<10} {reason}")
    if not args.json:
        print(f"{len(parked_orders)} parked")
    return 0


async def _handle_one(settings: Settings, args: argparse.Namespace) -> int:
    order_id = args.order
    async with records(settings) as (log, archive):
        history = _history(log, archive)
        if args.what == "show":
            prefix = cursor_prefix(log.epoch or 1, log.partition)
            timeline.tell(await history(order_id), prefix, as_json=args.json)
            return 0
        act = parked.replay if args.what == "requeue" else parked.discard
        try:
            order = await act(log, history, order_id, args.reason, args.actor)
        except parked.NotAllowed as error:
            print(f"engine: {error}", file=sys.stderr)
            return 1
    body = {"orderId": order_id, "status": order.status}
    print(json.dumps(body) if args.json else f"{order_id}  {order.status}")
    return 0


async def _settle(settings: Settings, args: argparse.Namespace) -> int:
    settings = localnet.with_chain(settings, running(settings.data_dir))
    async with records(settings, chain=chain_of(settings)) as (log, archive):
        with localnet.local_chain_running(settings) as reached:
            wallet = open_wallet(reached)
            try:
                done = await settle(
                    log, archive, _history(log, archive), wallet, args.order,
                    signature=args.signature, reason=args.reason, actor=args.actor,
                )  # fmt: skip
            except (parked.NotSettled, parked.NotAllowed) as error:
                body = {"orderId": args.order, "code": error.code, "detail": error.detail}
                if args.json:
                    print(json.dumps(body))
                else:
                    print(f"engine: {error.code}: {error.detail}", file=sys.stderr)
                return 1
            finally:
                await wallet.close()
    order = done.order
    if args.json:
        closed = {"orderId": order.id, "status": order.status, "txHash": order.signature}
        print(json.dumps(closed | {"already": done.already}))
    else:
        print(f"{order.id}  {order.status}  {order.signature}{'  (before)' * done.already}")
    return 0


def _history(log: EventLog, archive: Archive) -> parked.History:
    async def read(order_id: str) -> Sequence[Stored]:
        return await order_history(archive, log, order_id)

    return read


WORK = {"list": _list, "settle": _settle}
"""What is done otherwise than by `_handle_one`."""
