"""Who sits at this terminal, and until when they want something."""

from __future__ import annotations

import argparse
import getpass
import time

from engine.terminal.argument_types import seconds


def whoami() -> str:
    """Return the name under which acts of this person are written down."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def add_expiry(
    parser: argparse.ArgumentParser, at: str = "ISO time with zone: not after this"
) -> None:
    """Declare the two ways to say when an order expires."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--expires-at", metavar="TIME", help=at)
    when.add_argument("--expires-in", metavar="S", type=seconds, help="the same, seconds from now")


def expiry(args: argparse.Namespace) -> str | int | None:
    """Return what was said: ISO 8601, Unix milliseconds or nothing."""
    if args.expires_in is not None:
        return int((time.time() + args.expires_in) * 1000)
    expires_at: str | None = args.expires_at
    return expires_at
