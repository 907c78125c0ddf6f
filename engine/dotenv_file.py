"""Reads a `.env` file as Docker Compose does.

python-dotenv splits the file into bindings: comments, `export`, quotes with comments behind them,
escapes, values of several lines. Its interpolation is not used: it expands within single quotes,
and it knows `${NAME}` only. The rules of Compose are applied here instead.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import Binding, parse_stream

from engine.setting_parser import SettingsError

_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""A file that begins with one of these was saved as UTF-16, as PowerShell 5 does."""

_REFERENCE = re.compile(
    r"\\\$|\$\$|\$(?:(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+?])(?P<word>[^}]*))?\})"
)


class Entry(NamedTuple):
    """A line `NAME=value` of a file."""

    line: int
    name: str
    value: str
    unset: str = ""
    """A variable that the value names and that is not set; nothing stands in its place."""


def entries(path: Path, environ: Mapping[str, str]) -> Iterator[Entry]:
    """Yields the entries of a file, in order; `$NAME` means `environ` first, then earlier lines.

    Raises SettingsError for a file that cannot be read, and for a line without KEY=value.
    """
    seen: dict[str, str] = {}

    def known(name: str) -> str | None:
        return environ.get(name, seen.get(name))

    for binding in parse_stream(io.StringIO(_text(path))):
        original = binding.original.string
        # The blank lines before an entry belong to it.
        blank = original[: len(original) - len(original.lstrip())]
        place = f"{path}:{binding.original.line + blank.count(chr(10))}"
        if binding.error or (binding.key is not None and binding.value is None):
            raise SettingsError(f"{place}: expected KEY=value{_open_quote(original)}")
        if binding.key is None or binding.value is None:
            continue
        unset: list[str] = []
        value = binding.value
        if not _literal(binding):
            value = _expand(value, known, place, unset)
        seen[binding.key] = value
        line = binding.original.line + blank.count("\n")
        yield Entry(line, binding.key, value, unset[0] if unset else "")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    try:
        text = data.decode("utf-16" if data.startswith(_BOMS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 ({error.reason} at byte {error.start})"
        raise SettingsError(msg) from None
    if "\0" in text:
        raise SettingsError(f"{path}: not a text file; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open_quote(original: str) -> str:
    """Explains a line whose value begins with a quote."""
    value = original.partition("=")[2].lstrip()
    return ", and the closing quote" if value[:1] in ('"', "'") else ""


def _literal(binding: Binding) -> bool:
    """Whether a value stands between single quotes: nothing is expanded there."""
    return binding.original.string.partition("=")[2].lstrip().startswith("'")


def _expand(value: str, known: Callable[[str], str | None], place: str, unset: list[str]) -> str:
    """Replaces `$NAME` and `${NAME}`; `${NAME:-word}`, `:+` and `:?` as a shell does.

    Appends to `unset` the names of what is not set.
    """

    def replaced(match: re.Match[str]) -> str:
        if match[0] in (r"\$", "$$"):
            return "$"
        name, operator, word = match["plain"] or match["name"], match["operator"], match["word"]
        text = known(name)
        present = bool(text) if operator and operator.startswith(":") else text is not None
        match operator and operator[-1]:
            case "-":
                return (text or "") if present else word
            case "+":
                return word if present else ""
            case "?" if not present:
                raise SettingsError(f"{place}: {name} is not set{word and ': ' + word}")
            case None if text is None:
                unset.append(name)
        return text or ""

    return _REFERENCE.sub(replaced, value)
