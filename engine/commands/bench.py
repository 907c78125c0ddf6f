"""`engine bench`: measure this machine, as `make bench` does."""

import argparse
import subprocess
import sys
from pathlib import Path

from engine.processes.program import StartError
from engine.settings import Settings

HELP = "measure throughput and latency, each beside its yardstick; needs a checkout"
EXAMPLES = ("engine bench --quick", "engine bench --only b")
EXITS = {0: "measured", 1: "this is not a checkout with the development packages"}
ROOT = Path(__file__).parents[2]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: those of the benchmark."""
    parser.add_argument("--quick", action="store_true", help="a few seconds a figure")
    parser.add_argument("--only", metavar="LETTERS", help="these figures, such as b,d")
    parser.add_argument("--profile", action="store_true", help="also which process took how much")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")


def run(_: Settings, args: argparse.Namespace) -> int:
    """Measure, with servers of its own."""
    if not (ROOT / "tests" / "bench").is_dir():
        raise StartError("the benchmark is not installed: run `make bench` in a checkout")
    flags = [f"--{flag}" for flag in ("quick", "profile", "json") if getattr(args, flag)]
    only = ["--only", args.only] if args.only else []
    return subprocess.call([sys.executable, "-m", "tests.bench", *flags, *only], cwd=ROOT)
