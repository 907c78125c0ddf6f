"""`make bench`: every figure of the engine beside two yardsticks of the same minute.

It starts its own servers and its own engine in a temporary folder, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import (
    chain,
    fanout,
    finality,
    history,
    latency,
    limits,
    loads,
    quotes,
    report,
    resting,
    sizes,
    splits,
    throughput,
    yardsticks,
)
from tests.bench.subject import Subject, TooSlow

Measure = Callable[[Subject, yardsticks.Yardsticks, float], report.Outcome]

# Letter -> what measures it, its seconds, and those of --quick.
FIGURES: dict[str, tuple[Measure, float, float]] = {
    "a": (throughput.accepted, 6, 2),
    "b": (throughput.singles, 20, 4),
    "c": (throughput.batches, 20, 4),
    "d": (latency.alone, 8, 3),
    "e": (fanout.frames, 6, 2),
    "f": (history.replay, 10, 2),
    "g": (sizes.sizes, 0, 0),
    "h": (resting.orders_that_wait, 15, 4),
    "i": (quotes.per_family, 2, 0.3),
    "j": (chain.on_the_local_chain, 10, 3),
    "k": (splits.by_amount, 0, 0),
    "l": (finality.by_consensus, 10, 6),
    "m": (limits.that_do_not_bind, 30, 6),
}
YARDSTICK_S = (1.5, 0.5)


def main() -> int:
    """Measure; 0 when every target was reached, 1 when not."""
    args = _arguments()
    letters = args.only.split(",") if args.only else list(FIGURES)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="oeb-"))  # short: sockets live below it
    try:
        outcomes = _measure(folder, letters, quick=args.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = [figure for outcome in outcomes for figure in outcome.figures]
    profiles = [outcome.profile for outcome in outcomes if outcome.profile]
    if args.json:
        shown = {"machine": _machine(), "figures": figures, "profiles": profiles}
        print(msgspec.json.format(msgspec.json.encode(shown)).decode())
    else:
        print(_machine())
        print(report.table(figures))
        if args.profile and profiles:
            print(report.profiles(profiles))
    return 0 if all(target.reached for figure in figures for target in figure.targets) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="all figures in less than a minute")
    parser.add_argument("--only", metavar="a,b,…", help=f"of {','.join(FIGURES)}")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--profile", action="store_true", help="CPU an order and process, of b, c, j"
    )
    args: Any = parser.parse_args()
    if args.only and (unknown := set(args.only.split(",")) - set(FIGURES)):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    return parser.parse_args()


def _measure(folder: Path, letters: list[str], *, quick: bool) -> list[report.Outcome]:
    outcomes = []
    with yardsticks.started(folder / "y", YARDSTICK_S[quick]) as known:
        subject = Subject(folder / "e")
        try:
            for letter in letters:
                measure, seconds, quick_seconds = FIGURES[letter]
                start = time.monotonic()
                _print(f"({letter}) {(measure.__doc__ or '').splitlines()[0][4:]}")
                try:
                    outcomes.append(measure(subject, known, quick_seconds if quick else seconds))
                except (loads.Full, TooSlow) as error:
                    _print(f"    {error}")
                    outcomes.append(_failed(letter, str(error)))
                gib = subject.bytes_on_disk() / 2**30
                _print(f"    {time.monotonic() - start:.1f} s, {gib:.2f} GiB on disk")
        finally:
            subject.stop()
    return outcomes


def _failed(letter: str, why: str) -> report.Outcome:
    target = report.Target("measured", reached=False)
    figure = report.Figure(
        letter=letter, what="not measured", value=0, unit="", targets=(target,), note=why
    )
    return report.Outcome((figure,))


def _machine() -> str:
    cores = os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores, {python}; loaders: {loads.used()}"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
