"""`engine alive [NAME]`: which processes of a DATA_DIR show life, one by one."""

import argparse
import json
import sys
from collections.abc import Sequence

from engine.processes.signs_of_life import Sign, kind_of, signs
from engine.settings import Settings

HELP = "exit 0 if each process of this DATA_DIR showed life within three heartbeats"
EXAMPLES = (
    "engine alive",
    "engine alive gateway",
)
EXITS = {0: "each of them lives", 1: "one hangs, or none is there"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "name",
        nargs="?",
        help="gateway, projector, tracer, or the stages as given to `engine stage`; all kinds"
        " that ran with this DATA_DIR, where none is named",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Looks at the files that the processes touch and lock."""
    all_signs = signs(settings)
    kinds = [kind_of(args.name)] if args.name else sorted({sign.process for sign in all_signs})
    lacking = {kind: text for kind in kinds if (text := _lacking(settings, kind, all_signs))}
    if args.json:
        print(json.dumps({kind: kind not in lacking for kind in kinds}))
    if kinds and not lacking:
        return 0
    why = "; ".join(lacking.values()) or "no process shows life"
    print(f"engine: {why} (DATA_DIR={settings.data_dir.absolute()})", file=sys.stderr)
    return 1


def _lacking(settings: Settings, kind: str, all_signs: Sequence[Sign]) -> str:
    """Why a kind of process is not alive; empty where each process of it is."""
    there = [sign for sign in all_signs if sign.process == kind and sign.exists]
    hung = [
        f"{kind} (process {sign.pid} on {sign.host}) showed no life for {sign.age_s:.0f} s"
        for sign in there
        if not sign.is_alive(settings)
    ]
    return ", ".join(hung) or ("" if there else f"no {kind} runs")
