"""`engine settings`: what is set, and the documents made from it."""

import argparse
import json
from pathlib import Path

from engine import settings_reference
from engine.settings import Settings

HELP = "show the settings in force, or all of them as documentation"
EXAMPLES = ("engine settings",)
EXITS = {0: "shown"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--markdown", action="store_true", help="the table of docs/reference/settings.md"
    )
    form.add_argument("--dotenv", action="store_true", help="the text of .env.example")
    form.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints them."""
    if args.markdown:
        print(settings_reference.markdown())
    elif args.dotenv:
        print(settings_reference.dotenv(), end="")
    else:
        shown = _shown(settings)
        lines = (f"{name}={value}" for name, value in shown.items())
        print(json.dumps(shown) if args.json else "\n".join(lines))
    return 0


def _shown(settings: Settings) -> dict[str, str]:
    """Without what opens doors. A path to the wallet's key is none; the key itself is."""
    shown = settings_reference.shown(settings)
    if (keypair := settings.solana_keypair.reveal()) and _is_file(keypair):
        shown["SOLANA_KEYPAIR"] = keypair
    return shown


def _is_file(text: str) -> bool:
    """A key is not a path, and may be too long for one: an error would show it."""
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False
