"""Identifiers are the field's words, and no private ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prose import tracked

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".ci", "docs/examples", "engine", "events", "gateway", "projections", "stages", "tests")
PARTS = (
    "amiss", "anew", "anybody", "desk", "everybody", "found", "made", "nobody", "said", "saying",
    "says", "scribe", "somebody", "wanted", "who", "whoever", "whom",
)  # fmt: skip
"""Banned as a word of an identifier, such as `found_at`."""
WHOLE = ("one",)
"""Banned as an identifier; `one_by_one` and `oneOf` are English."""
STANDARD = re.compile("not_?found|connection_made", re.IGNORECASE)
"""The name of a status of HTTP and of JSON-RPC, and of a method of asyncio's protocols."""


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


QUOTED = {
    ".js": re.compile(
        r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""",
        re.DOTALL,
    ),
    ".lua": re.compile(r"""--[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""),
}
"""Comments and strings of a script; `tests/unit/test_prose.py` reads those."""
QUOTED[".mjs"] = QUOTED[".js"]


def script_identifiers(suffix: str, text: str) -> set[str]:
    """The identifiers of a script, with those inside the templates of JavaScript."""
    quoted = QUOTED[suffix]
    code = quoted.sub(lambda hit: " ".join(re.findall(r"\$\{([^}]*)\}", hit[0])), text)
    return set(re.findall(r"[A-Za-z_$][\w$]*", quoted.sub("", code)))


def test_no_identifier_of_a_script_has_a_banned_word() -> None:
    scripts = [path for path in tracked() if path.suffix in QUOTED]
    assert len(scripts) > 40
    hits = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in scripts
        for name in script_identifiers(path.suffix, path.read_text(encoding="utf-8"))
        if any(banned(name))
    }
    assert sorted(hits) == []


def test_identifiers_of_scripts_are_read_outside_of_comments_and_strings() -> None:
    text = """const a = "says"; /* who */ f(`one ${made.b("one")} two`); // who"""
    assert script_identifiers(".js", text) == {"const", "a", "f", "made", "b"}
    assert script_identifiers(".lua", "local c = 'says' -- who") == {"local", "c"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_identifier_has_a_banned_word(folder: str) -> None:
    hits = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in identifiers(ast.parse(path.read_text(encoding="utf-8")))
        if any(banned(name))
    }
    assert sorted(hits) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("found_at", ["found"]), ("_Said", ["said"]), ("NOT_FOUND", []), ("HTTPNotFound", []),
        ("one", ["one"]), ("one_by_one", []), ("foundation", []), ("order", []),
    ],
)  # fmt: skip
def test_words_are_recognised_in_identifiers(name: str, words: list[str]) -> None:
    assert list(banned(name)) == words
