"""`engine audit`: what happened and why, whether the records are sound, and replays of them."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

from engine.embedded.stores import gc_disabled, reading, records
from engine.settings import Settings
from engine.terminal import argument_types, timeline
from engine.terminal.counts import counted
from engine.terminal.progress import progress_bar
from events.archive import Archive, Page
from events.archive.history import Gap, GivenUp, everything, order_history
from events.archive.losses import Losses
from events.audit.proof import ProofSummary, faults_of, summary_of
from events.audit.replay import Checks, Replay, Unreadable
from events.audit.verdict import Verdict, accepted_loss_json, problem_json
from events.audit.verify import verify
from events.log import Damaged, EventLog
from projections.feed.cursors import cursor_prefix
from projections.feed.frames import Frame
from projections.postgres.order_rows import columns
from projections.views.formats import timestamp

HELP = "show an order's life, prove the records sound, replay or export them"
EXAMPLES = (
    "engine audit show 01a21e50-41f2-7000-9b84-c17e942321be",
    "engine audit verify",
    "engine audit replay --check",
    "engine audit replay --until 2026-11-27T18:00:00Z",
    "engine audit export > events.jsonl",
    "engine audit check-proof proof.json",
    f"engine audit check-proof proof.json --expect {'0' * 64}",
)
EXITS = {
    0: "shown; sound; all decisions agree; the proof holds",
    1: "unknown order; broken, with the first bad position; some differ; it does not hold",
    2: "a server does not answer",
}
SHOWN = 50  # problems listed for a person; --json lists all


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = what.add_parser("show", help="an order's timeline, and the reasons of each decision")
    show.add_argument("order", metavar="ORDER", type=argument_types.order_id, help="order id")
    show.add_argument("--json", action="store_true", help="one JSON object an event and line")
    prove = what.add_parser(
        "verify",
        help="positions, chains, transitions, copies; exit 0 sound, 1 broken, 2 unreadable",
    )
    prove.add_argument("--json", action="store_true", help="for machines")
    replay = what.add_parser("replay", help="fold all events again; prints a hash of the state")
    replay.add_argument(
        "--until",
        metavar="POSITION|TIME",
        type=argument_types.moment,
        help="the last position, or ISO time",
    )
    replay.add_argument("--order", type=argument_types.order_id, help="this order only")
    replay.add_argument("--check", action="store_true", help="make the decisions again, compare")
    replay.add_argument("--json", action="store_true", help="for machines")
    checked = what.add_parser(
        "check-proof", help="whether a downloaded proof holds; reads no records"
    )
    checked.add_argument("file", metavar="FILE", help="as GET /api/audit/orders/ID/proof gave it")
    checked.add_argument(
        "--expect",
        metavar="HASH",
        type=argument_types.digest,
        help="the last hash, as a frame, a proof or a person gave it before",
    )
    checked.add_argument("--json", action="store_true", help="for machines")
    export = what.add_parser("export", help="one line an event; no signed transaction bytes")
    export.add_argument("--format", choices=["jsonl"], default="jsonl")
    export.add_argument("--json", action="store_true", help="the same: there is no other format")
    export.add_argument("--after", type=int, default=0, metavar="POSITION", help="begin behind it")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Do it."""
    if args.what == "check-proof":
        return _check_proof(args)
    work = {"show": _show, "verify": _verify, "replay": _replay, "export": _export}[args.what]
    return reading(lambda: _told(work(settings, args)))


async def _told(work: Coroutine[Any, Any, int]) -> int:
    """Damage that a command meets is what an audit is for: exit 1, with its position."""
    try:
        return await work
    except (Gap, Damaged) as error:
        print(f"engine: damaged: {error}: see `engine audit verify`", file=sys.stderr)
        return 1


# -- check-proof -------------------------------------------------------------------------------


def _check_proof(args: argparse.Namespace) -> int:
    try:
        document = json.loads(Path(args.file).read_bytes())
    except (ValueError, RecursionError):
        document = {}
    document = document if isinstance(document, dict) else {}
    faults = faults_of(document)
    summary = None if faults else summary_of(document)
    if summary is not None and args.expect not in (None, summary.last_hash):
        faults = [f"the last hash is {summary.last_hash}, not the expected {args.expect}"]
    if args.json:
        shown = {} if summary is None else _proof_json(summary)
        print(json.dumps({"holds": not faults, "faults": faults} | shown))
    elif faults or summary is None:
        print("\n".join(faults))
    else:
        print(_proof_text(summary, expected=args.expect is not None))
    return 1 if faults else 0


def _proof_json(summary: ProofSummary) -> dict[str, object]:
    return {
        "orderId": summary.order_id,
        "events": summary.events,
        "status": summary.status,
        "ended": summary.ended,
        "lastHash": summary.last_hash,
    }


def _proof_text(summary: ProofSummary, *, expected: bool) -> str:
    lines = [
        f"{summary.events} event{'s'[: summary.events > 1]}: the chain holds",
        f"order      {summary.order_id}",
        f"status     {summary.status}",
        f"last hash  {summary.last_hash}",
    ]
    if not summary.ended:
        lines.append("The order has not ended here: later events may be missing.")
    if not expected:
        lines.append(
            "Compare the last hash with one from elsewhere (--expect HASH): without that, the proof"
            " may be cut short or recreated."
        )
    return "\n".join(lines)


# -- show --------------------------------------------------------------------------------------


async def _show(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, archive):
        try:
            history, gap = await order_history(archive, log, args.order), None
        except GivenUp as error:
            history, gap = list(error.left), error
    if gap is not None:
        print(f"engine: {gap}; what is left follows", file=sys.stderr)
    elif not history:
        print(f"engine: no order {args.order}", file=sys.stderr)
        return 1
    if history:
        timeline.tell(history, cursor_prefix(log.epoch or 1, log.partition), as_json=args.json)
    return 0 if gap is None else 1


# -- verify ------------------------------------------------------------------------------------


async def _verify(settings: Settings, args: argparse.Namespace) -> int:
    began = time.monotonic()
    async with records(settings, opened=False) as (log, archive):
        with gc_disabled(), progress_bar("verify") as progress:
            verdict = await verify(archive, log, columns, progress)
    seconds = time.monotonic() - began
    if args.json:
        print(json.dumps(_verdict(verdict, seconds)))
    else:
        _tell(verdict, seconds)
    return 1 if verdict.problems else 0


def _verdict(verdict: Verdict, seconds: float) -> dict[str, object]:
    return {
        "sound": not verdict.problems,
        "firstBadPosition": verdict.problems[0].position if verdict.problems else None,
        "events": verdict.events,
        "orders": verdict.orders,
        "archivedThrough": verdict.archived,
        "head": verdict.head,
        "lag": max(0, verdict.head - verdict.archived),
        "comparedInBoth": verdict.compared,
        "seconds": round(seconds, 3),
        "acceptedLosses": [accepted_loss_json(loss) for loss in verdict.accepted],
        "problemCount": len(verdict.problems),
        "problems": [problem_json(problem) for problem in verdict.problems],
    }


def _tell(verdict: Verdict, seconds: float) -> None:
    lag = max(0, verdict.head - verdict.archived)
    read = f"{counted(verdict.events, 'event')} of {counted(verdict.orders, 'order')}"
    print(f"{read} read in {seconds:.1f} s")
    behind = f"lag {counted(lag, 'event')}"
    print(f"archived through {verdict.archived:,}, head {verdict.head:,}, {behind}")
    print(f"{counted(verdict.compared, 'event')} compared in log and archive")
    for problem in verdict.problems[:SHOWN]:
        order = f" order {problem.order_id}" if problem.order_id else ""
        key = f" {problem.key}" if problem.key not in ("", problem.order_id) else ""
        where = f"position {problem.position}{order}: {problem.store}{key}"
        print(f"{where}: {problem.code}: {problem.detail}")
    for loss in verdict.accepted[:SHOWN]:
        order = f" order {loss.order_id}" if loss.order_id else ""
        why = f" ({loss.reason})" if loss.reason else ""
        when = f"{timestamp(loss.at_us)} by {loss.by or 'an operator'}"
        print(f"position {loss.position}{order}: lost, accepted {when}{why}: {loss.detail}")
    if not verdict.problems and verdict.accepted:
        count = len(verdict.accepted)
        print(f"sound, {counted(count, 'event')} accepted as lost at {verdict.accepted_at}")
        return
    if not verdict.problems:
        print("sound")
        return
    if len(verdict.problems) > SHOWN:
        print(f"… and {len(verdict.problems) - SHOWN:,} more (--json lists all)")
    counts = Counter((problem.store, problem.mend) for problem in verdict.problems)
    for (store, mend), count in sorted(counts.items()):
        print(f"{count:,} in {store}: mend with `{mend}`")
    first, count = verdict.problems[0].position, len(verdict.problems)
    print(f"BROKEN, first at position {first}; problems: {count:,}")


# -- replay ------------------------------------------------------------------------------------


async def _replay(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, archive):
        losses = await archive.losses()
        replay = Replay(_checks() if args.check else None, losses)
        began = time.perf_counter()
        try:
            await _fold(replay, log, archive, args, losses)
        except Unreadable as error:
            print(f"engine: {error}", file=sys.stderr)
            return 1
        seconds = time.perf_counter() - began
    result = {
        "events": replay.events,
        "orders": replay.orders,
        "first": replay.first,
        "last": replay.last,
        "seconds": round(seconds, 3),
        "eventsPerSecond": round(replay.events / seconds) if seconds else 0,
        "stateHash": replay.state_hash(),
    }
    if args.check:
        result["checked"] = replay.checked
        result["mismatches"] = [m._asdict() for m in replay.mismatches]
    if args.json:
        print(json.dumps(result))
    else:
        print(
            f"{counted(replay.events, 'event')} of {counted(replay.orders, 'order')},"
            f" positions {replay.first} to {replay.last},"
            f" {result['eventsPerSecond']:,} events/s\nstate {result['stateHash']}"
        )
        if args.check:
            checked = counted(replay.checked, "decision")
            print(f"{checked} made again, {len(replay.mismatches)} differ")
            for mismatch in replay.mismatches[:3]:
                print(
                    f"position {mismatch.position} order {mismatch.order_id}:"
                    f" recorded {mismatch.recorded}, now {mismatch.decided}"
                )
    return 1 if replay.mismatches else 0


def _checks() -> Checks:
    from engine.recovery.replay_checks import CHECKS

    return CHECKS


async def _fold(
    replay: Replay, log: EventLog, archive: Archive, args: argparse.Namespace, losses: Losses
) -> None:
    until, until_us = args.until or (None, None)
    end = min(until or sys.maxsize, await log.position()) or (until or sys.maxsize)
    with gc_disabled(), progress_bar("replay") as progress:
        async with aclosing(_pages(log, archive, args.order, until, losses)) as pages:
            async for page in pages:
                cut = page.until_time(until_us) if until_us else page
                if cut.positions:
                    replay.page(cut)
                    progress(replay.last, end)
                if cut is not page:
                    break


async def _pages(
    log: EventLog, archive: Archive, order_id: str | None, until: int | None, losses: Losses
) -> AsyncGenerator[Page]:
    if order_id is None:
        async with aclosing(everything(archive, log, until=until, losses=losses)) as pages:
            async for page in pages:
                yield page
        return
    history = await order_history(archive, log, order_id)
    kept = [stored for stored in history if until is None or stored.position <= until]
    if kept:
        yield Page.of(kept)


# -- export ------------------------------------------------------------------------------------


async def _export(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, archive):
        prefix = cursor_prefix(log.epoch or 1, log.partition)
        with progress_bar("export") as progress:
            end, losses = await log.position(), await archive.losses()
            pages_of = everything(archive, log, after=args.after, losses=losses)
            async with aclosing(pages_of) as pages:
                async for page in pages:
                    for stored in page.stored():
                        view = Frame(stored, prefix).view
                        view["serverTime"] = timestamp(stored.time_us)
                        sys.stdout.write(json.dumps(view, separators=(",", ":")) + "\n")
                    progress(page.positions[-1], end)
                    await asyncio.sleep(0)
    return 0
