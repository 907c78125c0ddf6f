"""The epilog of a command's help, and docs/reference/commands.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, cast


class Command(Protocol):
    """How a file of `commands/` describes itself."""

    HELP: str
    EXAMPLES: Sequence[str]
    EXITS: Mapping[int, str]


_HEAD = """\
# Commands

Each command locates the engine by `DATA_DIR` (or `HOST` and `PORT`), authenticates with `API_KEY`
where keys are required, and has `--help`.
Commands that print a result print JSON with `--json`.
Commands that run until they are stopped (`up` and its processes) log JSON where stderr is not a
terminal.
Errors are printed on stderr.
Exit code 2 is an invalid argument or setting, 130 is Ctrl-C; each command lists its others.
Colours and bars appear on a terminal only, and never with `NO_COLOR`.
`engine --version` prints the version.

Made by `engine docs --write`."""

ALWAYS: Mapping[int, str] = {
    2: "an invalid argument or setting",
    130: "Ctrl-C",
}
"""The exit codes that every command has."""


def epilog(examples: Sequence[str], exits: Mapping[int, str]) -> str:
    """Returns what stands below the arguments."""
    lines = ["examples:", *(f"  {example}" for example in examples), "", "exit codes:"]
    lines += [f"  {code:<3} {meaning}" for code, meaning in every(exits).items()]
    return "\n".join(lines)


def every(exits: Mapping[int, str]) -> dict[int, str]:
    """Returns all exit codes; where the command has another use for one, both."""
    codes = sorted({*exits, *ALWAYS})
    return {code: "; or ".join(_meanings(code, exits)) for code in codes}


def _meanings(code: int, exits: Mapping[int, str]) -> Iterable[str]:
    return (table[code] for table in (exits, ALWAYS) if code in table)


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Returns what understands each command that can be called; its `prog` is how."""
    below = _below(parser)
    if not below:
        yield parser
    for name in sorted(below):
        yield from leaves(below[name])


def _below(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in arguments(parser):
        if action.nargs == argparse.PARSER:  # it takes the words of another parser
            return cast("Mapping[str, argparse.ArgumentParser]", action.choices)
    return {}


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    """Returns the arguments that a parser declares.

    argparse has no public list of them; the documents and the tests of the commands need it.
    """
    return parser._actions


def markdown(commands: Mapping[str, Command], parser: argparse.ArgumentParser) -> str:
    """Returns docs/reference/commands.md."""
    lines = [_HEAD]
    for name, command in commands.items():
        lines += [f"\n## `engine {name}`", f"{command.HELP[0].upper()}{command.HELP[1:]}.", ""]
        lines += ["```sh", *command.EXAMPLES, "```", ""]
        rows = [
            f"| `{leaf.prog}` | {_called(action)} | {_explained(action)} |"
            for leaf in leaves(_below(parser)[name])
            for action in arguments(leaf)
            if action.help != "show this help message and exit"
        ]
        if rows:
            lines += ["| command | argument | meaning |", "|---|---|---|", *rows, ""]
        codes = (f"{code} {meaning}" for code, meaning in sorted(command.EXITS.items()))
        lines.append(f"Exit codes: {' · '.join(codes)}.")
        if notes := getattr(command, "NOTES", ""):  # of few commands
            lines += ["", notes]
    return "\n".join(lines) + "\n"


def _called(action: argparse.Action) -> str:
    words = [f"`{word}`" for word in action.option_strings]
    if not words:
        return f"`{_name(action)}`"
    value = "" if action.nargs == 0 else f" `{_name(action)}`"
    return ", ".join(words) + value


def _name(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper()).replace("|", "\\|")


def _explained(action: argparse.Action) -> str:
    text = (action.help or "").replace(" (default: %(default)s)", "").replace("|", "\\|")
    if action.choices:
        return f"{text}: {', '.join(map(str, action.choices))}".removeprefix(": ")
    return text.replace("%(default)s", str(action.default))
