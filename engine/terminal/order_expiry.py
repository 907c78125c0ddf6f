"""The two arguments that set when an order expires."""

from __future__ import annotations

import argparse

from engine.client import Client
from engine.terminal.argument_types import seconds


def add_expiry(
    parser: argparse.ArgumentParser, at: str = "ISO time with zone: not after this"
) -> None:
    """Declares `--expires-at`, with `at` as its help, and `--expires-in`."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--expires-at", metavar="TIME", help=at)
    when.add_argument("--expires-in", metavar="S", type=seconds, help="the same, seconds from now")


async def expiry(args: argparse.Namespace, client: Client) -> str | int | None:
    """Returns the expiry as the API takes it: ISO 8601 or Unix milliseconds; None without one.

    Seconds count from the gateway's time: the clock of this machine may be another.
    """
    if args.expires_in is not None:
        return (await client.time()).unix_ms + int(args.expires_in * 1000)
    expires_at: str | None = args.expires_at
    return expires_at
