"""Identifiers are the field's words: the private ones may only become fewer."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("engine", "events", "gateway", "projections", "stages")
PARTS = ("desk", "found", "made", "nobody", "said", "saying", "scribe", "wanted", "whoever")
"""Banned as a word of an identifier, such as `found_at`."""
WHOLE = ("one",)
"""Banned as an identifier; `one_by_one` and `oneOf` are English."""
STANDARD = re.compile("not_?found", re.IGNORECASE)
"""The name of a status of HTTP and of JSON-RPC."""
LIMITS = {
    "product": {"nobody": 5, "one": 6},
    "tests": {"found": 13, "made": 10, "one": 12, "said": 6, "wanted": 3},
}
"""How often a word still occurs. Lower a limit when an occurrence is gone, and never raise one."""


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every identifier of a module, as often as it occurs; the name of a test is a sentence."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                if not name.startswith("test_"):
                    yield name
            case ast.AsyncFunctionDef(name=name) if not name.startswith("test_"):
                yield name


def banned(name: str) -> Iterator[str]:
    """The banned words of one identifier."""
    bare = name.strip("_")
    if bare.lower() in WHOLE:
        yield bare.lower()
    for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", STANDARD.sub("", bare)):
        if word.lower() in PARTS:
            yield word.lower()


def counts(folders: tuple[str, ...]) -> Counter[str]:
    """How often each banned word occurs in the Python files of some folders."""
    return Counter(
        word
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for name in identifiers(ast.parse(path.read_text(encoding="utf-8")))
        for word in banned(name)
    )


@pytest.mark.parametrize(("part", "folders"), [("product", PRODUCT), ("tests", ("tests",))])
def test_no_private_word_becomes_more_frequent(part: str, folders: tuple[str, ...]) -> None:
    more = {
        word: f"{count} times, {LIMITS[part].get(word, 0)} at most"
        for word, count in counts(folders).items()
        if count > LIMITS[part].get(word, 0)
    }
    assert not more


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("found_at", ["found"]), ("_Said", ["said"]), ("NOT_FOUND", []), ("HTTPNotFound", []),
        ("one", ["one"]), ("one_by_one", []), ("foundation", []), ("order", []),
    ],
)  # fmt: skip
def test_words_are_recognised_in_identifiers(name: str, words: list[str]) -> None:
    assert list(banned(name)) == words
