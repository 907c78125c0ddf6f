"""`engine projections rebuild`: rebuilds the tables from the archive while the engine runs."""

import argparse
import json
import sys
import time

import asyncpg

from engine.embedded.backends import backends
from engine.embedded.stores import gc_disabled, reading
from engine.settings import Settings
from engine.terminal.counts import counted
from engine.terminal.progress import progress_bar
from projections.postgres.rebuild import RebuildError, rebuild

HELP = "rebuild the tables that show orders from the archive of events"
EXAMPLES = ("engine projections rebuild",)
EXITS = {0: "rebuilt", 1: "not, and nothing changed", 2: "the records cannot be read"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("what", choices=["rebuild"])
    parser.add_argument("--json", action="store_true", help="for machines")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Do it; the engine may run or not."""
    return reading(lambda: _rebuild(settings, args))


async def _rebuild(settings: Settings, args: argparse.Namespace) -> int:
    async with backends(settings) as (_, database_url):
        began = time.perf_counter()
        try:
            with gc_disabled(), progress_bar("rebuild") as progress:
                done = await rebuild(database_url, progress)
        except RebuildError as error:
            return _not_rebuilt(str(error))
        except (OSError, asyncpg.InterfaceError) as error:  # TimeoutError has no text of its own
            return _not_rebuilt(f"Postgres: {str(error) or type(error).__name__}")
        seconds = time.perf_counter() - began
    rate = round(done.events / seconds)
    if args.json:
        print(json.dumps({**done._asdict(), "seconds": round(seconds, 3), "eventsPerSecond": rate}))
    else:
        events = counted(done.events, "event")
        print(f"{counted(done.orders, 'order')} rebuilt from {events}, {rate:,} events/s")
    return 0


def _not_rebuilt(why: str) -> int:
    print(f"engine: not rebuilt, nothing changed: {why}", file=sys.stderr)
    return 1
