"""Texts that people read are plain English: `tests/support/prose_rules.toml` has the rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi
from tests.support.prose import (
    OURS,
    ROOT,
    Text,
    console_texts,
    described,
    docstrings,
    document_texts,
    message_strings,
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
    "gateway/static/": ("flows on",),
}
"""Phrases that are right where they stand."""


def faults(texts: Iterable[Text]) -> Iterator[str]:
    for text in texts:
        for rule in RULES:
            if hit := rule.phrase.search(text.text):
                yield f"{text.where}: {hit[0]!r}: write {rule.instead}"


def test_documents_are_plain() -> None:
    assert list(faults(document_texts())) == []


def test_messages_of_the_program_are_plain() -> None:
    """Help, errors, log lines, settings and commands: every sentence in the code."""
    assert list(faults(message_strings(*OURS))) == []


def test_the_descriptions_of_the_api_are_plain() -> None:
    texts = [*described(openapi(), "openapi"), *described(asyncapi(), "asyncapi")]
    assert len(texts) > 500
    assert list(faults(texts)) == []


def test_the_console_is_plain() -> None:
    texts = list(console_texts())
    assert len(texts) > 200
    assert list(faults(texts)) == []


def test_docstrings_are_plain() -> None:
    assert list(faults(docstrings(*OURS))) == []


def test_docstrings_of_tests_are_plain() -> None:
    assert list(faults(docstrings("tests"))) == []


def test_a_forbidden_phrase_is_reported() -> None:
    assert list(faults([Text("here", "Nobody knows.")]))
    assert list(faults([Text("here", "'x' is no order id")]))
    assert list(faults([Text("here", "It is no longer valid.")])) == []


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
