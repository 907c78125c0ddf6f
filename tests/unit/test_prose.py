"""Texts that people read are plain English: `tests/support/prose_rules.toml` has the rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi
from tests.support.prose import (
    OURS,
    ROOT,
    Text,
    comments,
    comments_of,
    configuration_texts,
    console_texts,
    described,
    docstrings,
    document_texts,
    message_strings,
    mutant_descriptions,
    names_of_tests,
    paragraphs,
)


class Rule(NamedTuple):
    """A phrase that is not written."""

    phrase: re.Pattern[str]
    instead: str


def _rules() -> list[Rule]:
    read = tomllib.loads((ROOT / "tests/support/prose_rules.toml").read_text(encoding="utf-8"))
    return [Rule(re.compile(row["phrase"], re.I), row["instead"]) for row in read["rule"]]


RULES = _rules()
ALLOWED = {
    # The texts of Solana's own errors, and a pattern that matches answers of nodes.
    "engine/localnet/state/failures.py": ("found",),
    "stages/venues/solana/rpc/faults.py": ("found",),
    # The examples of this test.
    "tests/unit/test_prose.py": ("amiss", "found", "is no", "nobody", "said"),
}
"""Phrases that may stand in a file."""


def faults(texts: Iterable[Text]) -> Iterator[str]:
    for text in texts:
        for rule in RULES:
            hit = rule.phrase.search(text.text)
            if hit and hit[0].lower() not in ALLOWED.get(text.where.partition(":")[0], ()):
                yield f"{text.where}: {hit[0]!r}: write {rule.instead}"


def test_documents_are_plain() -> None:
    assert list(faults(document_texts())) == []


def test_messages_of_the_program_are_plain() -> None:
    """Help, errors, log lines, settings and commands: every sentence in the code."""
    assert list(faults(message_strings(*OURS, ".ci"))) == []


def test_the_descriptions_of_the_api_are_plain() -> None:
    texts = [*described(openapi(), "openapi"), *described(asyncapi(), "asyncapi")]
    assert len(texts) > 500
    assert list(faults(texts)) == []


def test_the_console_is_plain() -> None:
    texts = list(console_texts())
    assert len(texts) > 200
    assert list(faults(texts)) == []


def test_docstrings_are_plain() -> None:
    assert list(faults(docstrings(*OURS, ".ci"))) == []


def test_docstrings_of_tests_are_plain() -> None:
    assert list(faults(docstrings("tests"))) == []


def test_strings_of_tests_are_plain() -> None:
    """Names of parameters, reasons of assertions, test data."""
    assert list(faults(message_strings("tests"))) == []


def test_names_of_tests_are_plain() -> None:
    """The name of a test is a sentence."""
    texts = list(names_of_tests())
    assert len(texts) > 2_000
    assert list(faults(texts)) == []


def test_comments_are_plain() -> None:
    """Of code, tests, scripts, styles, pages and configuration."""
    texts = list(comments())
    assert len(texts) > 1_000
    assert list(faults(texts)) == []


def test_descriptions_of_planted_bugs_and_alerts_are_plain() -> None:
    texts = [*mutant_descriptions(), *configuration_texts()]
    assert len(texts) > 300
    assert list(faults(texts)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "x = '# no'  # amiss\n"), ("a.sh", "# amiss\n"), ("a.yml", "a: b  # amiss\n"),
        ("a.js", "/* amiss */"), ("a.mjs", "f(); // amiss\n"), ("a.css", "/* a\n amiss */"),
        ("a.html", "<!-- amiss -->"), ("a.lua", "-- amiss\n"), ("Makefile", "run:  ## amiss\n"),
        ("Dockerfile", "# amiss\n"), (".env.example", "# amiss\n"),
    ],
)  # fmt: skip
def test_comments_are_read_in_files_of_every_kind(name: str, text: str) -> None:
    words = " ".join(words for _, words in comments_of(name, text))
    assert "amiss" in words
    assert list(faults([Text(f"{name}:1", words)]))


def test_a_forbidden_phrase_is_reported() -> None:
    assert list(faults([Text("here", "Nobody knows.")]))
    assert list(faults([Text("here", "'x' is no order id")]))
    assert list(faults([Text("here", "what the node said")]))
    assert list(faults([Text("here", "the order that was found")]))
    assert list(faults([Text("here", "It is no longer valid, and was not found.")])) == []


def test_every_exception_is_used() -> None:
    """A row of ALLOWED whose phrase left the file is removed."""
    texts = [*message_strings(*OURS, ".ci", "tests"), *docstrings(*OURS, ".ci", "tests")]
    for file, phrases in ALLOWED.items():
        words = " ".join(text.text for text in texts if text.where.startswith(f"{file}:")).lower()
        assert [phrase for phrase in phrases if phrase not in words] == [], file


def test_the_documents_have_one_sentence_a_line() -> None:
    """A line of a paragraph holds one sentence; tables, lists and headings may hold more."""
    end = re.compile(r"[a-z`)][.!?] +(?=[A-Z`])")
    wrong = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, line in paragraphs(path):
            prose = (
                not line.startswith(("|", "#", "-", " ", "<", "**", "!")) and not line[:1].isdigit()
            )
            if prose and end.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}")
    assert wrong == []


def test_the_entries_of_the_changelog_are_short() -> None:
    for number, line in paragraphs(ROOT / "CHANGELOG.md"):
        assert len(line) <= 240, number
