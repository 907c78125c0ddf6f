"""`engine repair`: repairs log and archive from each other, and rebuilds a lost log."""

import argparse
import json
import sys

import asyncpg

from engine import recovery
from engine.embedded import localnet
from engine.embedded.data_dir import running
from engine.embedded.stores import reading, records
from engine.recovery import Done, Plan, RepairError, Word, Words
from engine.recovery.chain_history import ChainError, open_wallet
from engine.settings import Settings
from engine.telemetry.logging import quiet
from engine.terminal.counts import counted
from engine.terminal.operator_name import whoami
from engine.terminal.progress import progress_bar
from engine.venues import chain_of
from projections.postgres.migrate import MigrationError
from projections.postgres.rebuild import RebuildError

HELP = "report damage of log, archive and tables, and its repair; with --yes, repair it"
EXAMPLES = (
    "engine repair",
    "engine repair --yes",
    "engine repair --restored --yes",
    "engine repair --drop-after 11315 --yes",
    'engine repair --accept-loss --reason "no backup has them" --yes',
)
EXITS = {
    0: "sound, or repaired",
    1: "not repaired, or not all of it",
    2: "the records cannot be read",
    3: "needed, and not done without --yes",
}
NEEDED = 3
GUIDE = "docs/guide/recovery.md"
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--yes", action="store_true", help="repair; without it, only report")
    parser.add_argument(
        "--restored",
        action="store_true",
        help="log and archive were restored from copies: ask the chain what was executed since,"
        " though the two agree",
    )
    parser.add_argument(
        "--drop-after",
        type=int,
        metavar="POSITION",
        help="delete the rows of the archive behind it, which the log never confirmed",
    )
    parser.add_argument(
        "--accept-loss",
        action="store_true",
        help="continue without events of which no intact copy is left: the loss is recorded",
    )
    parser.add_argument(
        "--reason", default="", metavar="WHY", help="why the loss is accepted; it is recorded"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look, and repair where it is asked for and needed."""
    quiet()
    return reading(lambda: _run(settings, args))


async def _run(settings: Settings, args: argparse.Namespace) -> int:
    settings = localnet.with_chain(settings, running(settings.data_dir))
    words = Words(args.restored, args.drop_after, args.accept_loss, Word(whoami(), args.reason))
    async with records(settings, opened=False, chain=chain_of(settings)) as (log, archive):
        try:
            diagnosis = await recovery.diagnose(log, archive)
            todo = recovery.plan(diagnosis, log.chain, words)
            if not args.yes or not todo.steps:
                return _diagnosed(todo, as_json=args.json)
            if not args.json:
                print("\n".join(told(todo)))
            with (
                localnet.local_chain_running(settings) as reached,
                progress_bar("repair") as progress,
            ):
                done = await recovery.repair(
                    log, archive, words, lambda: open_wallet(reached), progress, first=diagnosis
                )
        except (RepairError, RebuildError, MigrationError, ChainError, OSError) as error:
            return _not_repaired(str(error))
        except asyncpg.InterfaceError as error:
            return _not_repaired(f"Postgres: {error}")
    print(json.dumps(as_json(done)) if args.json else "\n".join(lines(done)))
    return 1 if done.left else 0


def _not_repaired(why: str) -> int:
    print(f"engine: not repaired: {why}", file=sys.stderr)
    return 1


def _diagnosed(todo: Plan, *, as_json: bool) -> int:
    if as_json:
        lines = {
            "sound": not todo.faults,
            "detail": todo.why or None,
            "wrong": [fault.text for fault in todo.faults],
            "steps": todo.does,
            "lost": todo.lost,
            "command": todo.command or None,
        }
        print(json.dumps(lines))
    else:
        print("\n".join(told(todo)))
    if not todo.faults:
        return 0
    return NEEDED if todo.steps else 1


def told(todo: Plan) -> list[str]:
    """What is wrong, what would be done, what is lost, and the command that does it."""
    if not todo.faults:
        return ["sound: nothing to do"]
    wrong = [fault.text for fault in todo.faults]
    return [
        *_listed("wrong", wrong),
        *_listed("mend", todo.does),
        *_listed("lost", todo.lost),
        f"do it: `{todo.command}`" if todo.command else f"nothing mends that: see {GUIDE}",
    ]


def _listed(what: str, details: list[str]) -> list[str]:
    more = [f"{what}: … and {len(details) - SHOWN} more"] if len(details) > SHOWN else []
    return [f"{what}: {detail}" for detail in dict.fromkeys(details[:SHOWN])] + more


def as_json(done: Done) -> dict[str, object]:
    """The outcome as JSON: the steps, and the figures of a rebuilt log."""
    founded = done.founded._asdict() if done.founded else {}
    return founded | {"steps": done.steps, "lost": done.lost, "left": done.left}


def lines(done: Done) -> list[str]:
    """What a person has to know, the bad news included."""
    return [
        *_listed("done", done.steps),
        *_listed("lost", done.lost),
        *(_founded(done.founded) if done.founded else []),
        *_listed("wrong still", done.left),
        "all else is sound" if done.left else "sound",
    ]


def _founded(done: recovery.Repaired) -> list[str]:
    lines = [
        f"the log is epoch {done.epoch} now, and continues after position {done.position:,}",
        f"{counted(done.open_orders, 'open order')}, {counted(done.keys, 'idempotency key')}",
    ]
    for ids, what in (
        (done.adopted, "orders that only the lost log had were taken over"),
        (done.sent, "orders were sent before: the chain has their transactions"),
        (
            done.parked,
            "orders were executed by transactions that the log lost: `engine parked settle` each",
        ),
        (done.strangers, "executed orders are in no store: their clients must not repeat them"),
        (done.torn, "orders had events that the archive does not have: these events are void"),
    ):
        if ids:
            more = " …" if len(ids) > SHOWN else ""
            lines.append(f"{len(ids):,} {what}: {' '.join(ids[:SHOWN])}{more}")
    if done.unreadable:
        lines.append(f"{counted(done.unreadable, 'event')} of the lost log could not be used")
    lines.append(
        "Lost for good, and unknown: orders taken after that position that the log no longer held"
        " (their clients had a 202), cancels, amendments and halts written after it, and keys"
        " that came with a replay. Clients that post again under their keys are safe for what is"
        " archived, and for nothing else."
    )
    return lines
