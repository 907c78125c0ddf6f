"""The commands of `engine`, one a file; nothing lists them.

Such a file has `HELP` (one line), `EXAMPLES`, `EXITS`, `arguments(parser)` and `run(settings, args)
-> exit code`, and is imported only when its command is called, which keeps `engine` quick.

Imports every room of the engine. Public: `names`, `command`, `parser`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from engine import commands_manual
from engine.settings import Settings
from events.version import VERSION

FIRST = """\
first steps:
  engine up                            the whole engine; prints `ready URL`
  engine submit SOL USDC 1.5 --watch   an order, and every step of it
  engine watch                         all orders, live
  engine audit verify                  prove that the records are sound
  engine doctor                        when something is odd

`engine COMMAND --help` has examples and exit codes; docs/reference/commands.md lists them all."""


class Command(Protocol):
    """What a file of `commands/` holds."""

    HELP: str
    EXAMPLES: Sequence[str]
    """Command lines that work as they stand."""
    EXITS: Mapping[int, str]
    """Exit code -> meaning, besides `commands_manual.ALWAYS`."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, settings: Settings, args: argparse.Namespace) -> int:
        """Executes the command and returns the exit code.

        `args` is the Namespace of `arguments`: a struct would declare each argument a second time.
        `tests/unit/engine/test_manual.py` checks that a command reads only what it declares.
        """


def names() -> list[str]:
    """Returns the names of all commands."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def command(name: str) -> Command:
    """Returns the file of `commands/` of that name."""
    return cast("Command", importlib.import_module(f"{__name__}.{name}"))


def parser(of: Sequence[str]) -> argparse.ArgumentParser:
    """Returns the parser of these commands."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="engine", description="An order execution engine.", epilog=FIRST, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=f"engine {VERSION}")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in of:
        module = command(name)
        epilog = commands_manual.epilog(module.EXAMPLES, module.EXITS)
        module.arguments(
            choices.add_parser(
                name, help=module.HELP, description=module.HELP, epilog=epilog, formatter_class=form
            )
        )
    return parser
