"""`engine counts`: how many events of each kind the log has."""

import argparse
import json

from engine.embedded.stores import reading, records
from engine.settings import Settings
from projections.counts.counter import follow
from projections.feed.history_reader import HistoryReader

HELP = "count the events of the log by kind"
EXAMPLES = ("engine counts", "engine counts --json")
EXITS = {0: "counted", 2: "the records cannot be read"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints the counts."""
    return reading(lambda: _count(settings, args))


async def _count(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, archive):
        past = HistoryReader(log, archive)
        try:
            counts = await follow(past)
        finally:
            await past.close()
    if args.json:
        print(json.dumps(counts))
    else:
        for name, number in counts.most_common():
            print(f"{number:>12,} {name}")
    return 0
