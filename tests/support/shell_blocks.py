"""Shell blocks of the documents, run as a reader would paste them.

A block is cut into steps: a command, and the comment lines below it, which show its output. What
is compared are the events and the short fields (status, code, reason) of the shown lines: they must
come in that order. A reading request is repeated until it shows them, and an amendment until the
order waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.prose import ROOT

WORD = re.compile(
    r"\b(?:Order|Routing|Transaction|Attempt|Engine)[A-Z][a-z]+(?:[A-Z][a-z]+)?\b"
    r'|"(?:status|code|reason|orderStatus)":"[\w-]+"'
)
NOT_RUN = {
    "alias engine=": "aliases are for interactive shells; a function stands for it",
    "websocat ": "not installed everywhere",
    "engine watch   ": "runs until it is stopped",
    "node ": "not installed everywhere; the examples have a test of their own",
    ".venv/bin/python docs/examples": "the examples have a test of their own",
    "make ": "installs, or runs every test",
}
"""Beginnings of commands that are left out, and why."""


class Step(NamedTuple):
    """A command of a block."""

    where: str
    command: str
    shown: list[str]
    """The words that its output must have, in order."""

    @property
    def reads(self) -> bool:
        """Whether it only reads, or may be repeated without harm, until it shows what it should."""
        return self.command.startswith("curl -s") and " -d " not in self.command


def words(text: str) -> list[str]:
    """The comparable words of an output."""
    return WORD.findall(text)


def blocks(document: str) -> Iterator[tuple[int, list[str]]]:
    """The shell blocks of a document: the number of their first line, and their lines."""
    lines: list[str] | None = None
    begins = 0
    for number, line in enumerate((ROOT / document).read_text(encoding="utf-8").splitlines(), 1):
        if line == "```sh":
            lines, begins = [], number + 1
        elif line == "```" and lines is not None:
            yield begins, lines
            lines = None
        elif lines is not None:
            lines.append(line)


def steps(document: str) -> list[Step]:
    """All commands of a document, in order."""
    steps: list[Step] = []
    for begins, lines in blocks(document):
        command = ""
        for number, line in enumerate(lines, begins):
            if line.startswith("#") and not command:
                if steps:
                    steps[-1].shown.extend(words(line))
            elif line.strip():
                command += f"{line}\n"
                if not line.rstrip().endswith("\\"):
                    if not command.startswith(tuple(NOT_RUN)):
                        steps.append(Step(f"{document}:{number}", command.strip(), []))
                    command = ""
    return steps


def script(todo: Sequence[Step], engine: Path, patience: int) -> str:
    """A script of bash that runs the steps and marks the output of each with its number."""
    parts = [f'engine() {{ "{engine}" "$@"; }}']
    for number, step in enumerate(todo):
        command = step.command.replace("| orderid", "| tee /dev/stderr | orderid")
        parts.append(f"echo; echo '@@ {number}'")
        if step.reads and step.shown:
            pattern = "*".join(["", *(f"'{word}'" for word in step.shown), ""])
            parts.append(
                f"for i in $(seq {patience}); do out=$({command}\n); "
                f'case "$out" in {pattern}) break;; esac; sleep 0.1; done; echo "$out"'
            )
        elif command.startswith("engine amend"):  # possible once the watcher has taken the order
            parts.append(
                f"for i in $(seq {patience}); do {command.partition('#')[0]} && break; done"
            )
        else:
            parts.append(command)
        parts.append('echo; echo "@= $?"' if not step.reads else "echo; echo '@= 0'")
    return "\n".join(parts) + "\n"


def missing(step: Step, output: str) -> list[str]:
    """The shown words that do not come, in order, in an output."""
    left = list(step.shown)
    for word in words(output):
        if left and word == left[0]:
            del left[0]
    return left
