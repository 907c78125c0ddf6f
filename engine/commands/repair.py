"""`engine repair`: a log that was lost, or lost its end, founded again from the archive."""

import argparse
import json
import sys

from engine import localchain, repair
from engine.folder import running
from engine.logging import quiet
from engine.markets import chain_of
from engine.records import reading, records
from engine.settings import Settings
from engine.terminal.progress import Progress
from engine.wallets import ChainError, open_wallet
from events.archive import Archive
from events.log import EventLog

HELP = "say what is wrong with the log; with --yes found it again from the archive"
EXAMPLES = (
    "engine repair",
    "engine repair --yes",
    "engine repair --restored --yes",
)
EXITS = {
    0: "sound, or repaired",
    1: "not repaired",
    2: "the records cannot be read",
    3: "needed, and not done without --yes",
}
NEEDED = 3
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--yes", action="store_true", help="do it; without, only say what is wrong")
    parser.add_argument(
        "--restored",
        action="store_true",
        help="log and archive are copies of before: ask the chain what was executed since,"
        " though the two agree",
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look, and repair where it is asked for and needed."""
    quiet()
    return reading(lambda: _run(settings, args))


async def _run(settings: Settings, args: argparse.Namespace) -> int:
    settings = localchain.found(settings, running(settings.data_dir))
    async with records(settings, opened=False, chain=chain_of(settings)) as (log, archive):
        try:
            why = await repair.diagnose(log, archive)
            why = why or ("what happened after the copies were taken is unknown" * args.restored)
            if not why or not args.yes:
                return _diagnosed(why, as_json=args.json)
            if not args.json:
                print(f"{why}\nnothing is taken or sent until the log is there again")
            with localchain.reached(settings) as reached:
                done = await _refound(reached, log, archive)
        except (repair.RepairError, ChainError, OSError) as error:
            print(f"engine: not repaired: {error}", file=sys.stderr)
            return 1
    print(json.dumps(done._asdict()) if args.json else "\n".join(lines(done)))
    return 0


async def _refound(settings: Settings, log: EventLog, archive: Archive) -> repair.Repaired:
    wallet = open_wallet(settings)
    try:
        with Progress("no transaction of before can land after") as progress:
            return await repair.refound(log, archive, wallet, progress)
    finally:
        await wallet.close()


def _diagnosed(why: str, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"sound": not why, "detail": why or None}))
    else:
        print(f"{why}: `engine repair --yes` founds it again" if why else "sound: nothing to do")
    return NEEDED if why else 0


def lines(done: repair.Repaired) -> list[str]:
    """What a person has to know, the bad news included."""
    told = [
        f"the log is epoch {done.epoch} now, and goes on behind position {done.position:,}",
        f"{done.open_orders:,} open orders, {done.keys:,} idempotency keys",
    ]
    for ids, what in (
        (done.adopted, "orders that only the lost log had were taken over"),
        (done.sent, "orders were sent before: the chain has their transactions"),
        (
            done.parked,
            "orders were executed by transactions that the log lost: `engine parked settle` each",
        ),
        (done.strangers, "executed orders are known to nobody: their clients must not repeat them"),
        (done.torn, "orders had said more than the archive knows: what they said is void"),
    ):
        if ids:
            more = " …" if len(ids) > SHOWN else ""
            told.append(f"{len(ids):,} {what}: {' '.join(ids[:SHOWN])}{more}")
    if done.unreadable:
        told.append(f"{done.unreadable:,} events of the lost log could not be used")
    told.append(
        "Lost for good, and unknown: orders taken after that position that the log no longer held"
        " (their clients had a 202), cancels, changes of a price and halts said after it, and keys"
        " that came with a replay. Clients that post again under their keys are safe for what is"
        " archived, and for nothing else."
    )
    return told
