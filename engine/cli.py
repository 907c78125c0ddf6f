"""The command line: runs one command of `commands/`, and prints an error in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial

from engine import shell
from engine.commands import command, names, parser
from engine.processes.fast_imports import PROCESSES
from engine.processes.program import StartError
from engine.setting_parser import SettingsError
from engine.settings_loader import load


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 success, 1 a fault, 2 invalid usage."""
    args = sys.argv[1:] if argv is None else list(argv)
    if not args:
        parser(names()).print_help()
        return 0
    shell.leave_out(os.environ, isolated=bool(sys.flags.isolated))
    parsed = parser([args[0]] if args and args[0] in names() else names()).parse_args(args)
    fail = partial(_fail, parsed.command)
    try:
        return command(parsed.command).run(load(), parsed)
    except SettingsError as error:
        return fail(str(error), 2)
    except StartError as error:
        return fail(str(error), 1)
    except BrokenPipeError:  # `engine … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return fail(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130


def _fail(name: str, line: str, code: int) -> int:
    """Prints why a command ended; a process that logs JSON ends with a line of its log."""
    if name in PROCESSES:
        from engine.telemetry import logging

        if not logging.is_console(os.environ.get("LOG_FORMAT") or "auto"):
            logging.print_failure(name, line)
            return code
    print(f"engine: {line}", file=sys.stderr)
    return code
