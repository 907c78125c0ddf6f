"""The command line. A command is one file of `commands/`; nothing lists them.

Such a file has `HELP` (one line), `EXAMPLES`, `EXITS`, `arguments(parser)` and `run(settings, args)
-> exit code`, and is imported only when its command is called, which keeps `engine` quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from engine import commands, manual
from engine.programs import StartError
from engine.settings import Settings, load
from engine.values import SettingsError
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
    """What its exit codes say; those of `manual.ALWAYS` go without saying."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""

    def run(self, settings: Settings, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


def names() -> list[str]:
    """Return the names of all commands."""
    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 is well, 1 a fault, 2 a usage that makes no sense."""
    args = sys.argv[1:] if argv is None else list(argv)
    if not args:
        parser(names()).print_help()
        return 0
    parsed = parser([args[0]] if args and args[0] in names() else names()).parse_args(args)
    try:
        return command(parsed.command).run(load(), parsed)
    except SettingsError as error:
        return _say(str(error), 2)
    except StartError as error:
        return _say(str(error), 1)
    except BrokenPipeError:  # `engine … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130


def parser(of: Sequence[str]) -> argparse.ArgumentParser:
    """Return what understands these commands."""
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(
        prog="engine", description="An order execution engine.", epilog=FIRST, formatter_class=form
    )
    made.add_argument("--version", action="version", version=f"engine {VERSION}")
    choices = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in of:
        one = command(name)
        said = manual.epilog(one.EXAMPLES, one.EXITS)
        one.arguments(
            choices.add_parser(
                name, help=one.HELP, description=one.HELP, epilog=said, formatter_class=form
            )
        )
    return made


def _say(line: str, code: int) -> int:
    print(f"engine: {line}", file=sys.stderr)
    return code


def command(name: str) -> Command:
    """Return the file of `commands/` of that name."""
    return cast("Command", importlib.import_module(f"{commands.__name__}.{name}"))
