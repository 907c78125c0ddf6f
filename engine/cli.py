"""The command line. A command is one file of `commands/`; nothing lists them.

Such a file has `HELP` (one line), `arguments(parser)` and `run(settings, args) -> exit code`, and
is imported only when its command is called, which keeps `engine` quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from engine import commands
from engine.programs import StartError
from engine.settings import Settings, load
from engine.values import SettingsError


class Command(Protocol):
    """What a file of `commands/` holds."""

    HELP: str

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
    wanted = [args[0]] if args and args[0] in names() else names()
    parser = argparse.ArgumentParser(prog="engine", description="An order execution engine.")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in wanted:
        command = _command(name)
        command.arguments(choices.add_parser(name, help=command.HELP, description=command.HELP))
    parsed = parser.parse_args(args)
    try:
        return _command(parsed.command).run(load(), parsed)
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


def _say(line: str, code: int) -> int:
    print(f"engine: {line}", file=sys.stderr)
    return code


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(f"{commands.__name__}.{name}"))
