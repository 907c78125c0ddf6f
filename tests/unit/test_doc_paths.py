"""Prose names files, modules and pages that exist: documents, and docstrings of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.prose import OURS, ROOT, Text, docstrings, documents, paragraphs

FOLDERS = (*OURS, "tests", "docs", "deploy", "pools", ".ci", ".github")
DOCS = ROOT / "docs"
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*[\w/]")
FILE = re.compile(r"`([\w-]+\.(?:py|lua|sql|md|js|toml|yaml|yml|json|html))`")
DOTTED = re.compile(rf"`((?:{'|'.join(OURS)}|tests)(?:\.\w+)+)`")
DEFINED = re.compile(r"`([A-Za-z_][\w.]*)` in \[?`([\w/]+\.py)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NOT_IN_TREE = {
    "backends.json": "of a running engine, in DATA_DIR",
    "layout.json": "of a running engine, in DATA_DIR",
    "__init__.py": "of any package",
    "deploy/secrets/postgres_password": "written by `deploy/secrets/create`",
}
"""Names of files that are not in the tree, and why they are named."""


def named_in_documents() -> Iterator[Text]:
    for path in documents():
        if path.name == "CHANGELOG.md":  # what was true of an older tree
            continue
        for number, line in paragraphs(path):
            yield Text(f"{path.relative_to(ROOT)}:{number}", line)


def every_text() -> list[Text]:
    return [*named_in_documents(), *docstrings(*OURS, "tests", ".ci")]


@cache
def file_names() -> frozenset[str]:
    folders = [ROOT / name for name in FOLDERS]
    names = {path.name for folder in folders for path in folder.rglob("*") if path.is_file()}
    return frozenset(names | {path.name for path in ROOT.iterdir()})


def names_of(module: Path) -> set[str]:
    """What a module defines or imports, at its top and in its classes."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    results: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                results.add(name)
            case ast.AsyncFunctionDef(name=name):
                results.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                results.add(name)
            case ast.alias(name=name, asname=asname):
                results.add(asname or name)
    return results


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        module = base.with_suffix(".py")
        if not module.is_file():
            module = base / "__init__.py"
        if module.is_file():
            return set(parts[length:]) <= names_of(module)
    return False


def missing(text: Text) -> Iterator[str]:
    for path in PATH.findall(text.text):
        if not (ROOT / path).exists() and path not in NOT_IN_TREE:
            yield f"{text.where}: {path}"
    beside = ROOT / text.where.partition(":")[0]
    for name in FILE.findall(text.text):
        # A docstring names a neighbour without its folder; a document any file.
        known = (beside.parent / name).is_file() if beside.suffix == ".py" else name in file_names()
        if not known and name not in NOT_IN_TREE:
            yield f"{text.where}: {name}"
    for dotted in DOTTED.findall(text.text):
        if not resolves(dotted):
            yield f"{text.where}: {dotted}"
    for name, path in DEFINED.findall(text.text):
        if not resolves(f"{path.removesuffix('.py').replace('/', '.')}.{name}"):
            yield f"{text.where}: {name} in {path}"


def test_every_path_and_module_that_prose_names_exists() -> None:
    assert [fault for text in every_text() for fault in missing(text)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("see `events/nowhere.py`", "events/nowhere.py"),
        ("see events/nowhere.py for more", "events/nowhere.py"),
        ("the table of `nowhere.py`", "nowhere.py"),
        ("what `events.order.nothing` does", "events.order.nothing"),
        ("`nothing` in `events/types.py`", "nothing in events/types.py"),
        ("`Event` in [`events/types.py`](events/types.py)", None),
        ("`events/types.py`, `events.types.Fact`, `types.py`, events/order/ and https://x/docs/y",
         None),
    ],
)  # fmt: skip
def test_a_name_without_a_file_is_reported(text: str, fault: str | None) -> None:
    assert list(missing(Text("here", text))) == ([f"here: {fault}"] if fault else [])


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as they are made from their text."""
    result = set()
    for _, line in paragraphs(path):
        if heading := re.match(r"#+ (.*)", line):
            text = re.sub(r"[^\w\- ]", "", heading[1].lower())
            result.add(text.strip().replace(" ", "-"))
    return result


def test_every_link_of_a_document_leads_somewhere() -> None:
    wrong = []
    for path in documents():
        for number, line in paragraphs(path):
            for link in LINK.findall(line):
                target, _, anchor = link.partition("#")
                if re.match(r"[a-z]+:", target):
                    continue
                file = (path.parent / target).resolve() if target else path
                # The site has the pages of docs/ only; `make docs` stops at a link to another one.
                outside = path.is_relative_to(DOCS) and not file.is_relative_to(DOCS)
                if (
                    (outside and file.suffix == ".md")
                    or not file.exists()
                    or (anchor and anchor not in anchors(file))
                ):
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {link}")
    assert wrong == []


def test_every_room_is_in_the_map() -> None:
    architecture = (ROOT / "docs/architecture/map.md").read_text(encoding="utf-8")
    rooms = {
        f"{file.parent.relative_to(ROOT).as_posix()}/"
        for package in OURS
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert {room for room in rooms if f"`{room}`" not in architecture} == set()


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == pages


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_bytes()
    assert len(text) <= 12_000
    assert text.count(b"\n") <= 250


def test_every_row_of_the_glossary_names_a_file() -> None:
    rows = [
        line for _, line in paragraphs(ROOT / "docs/reference/glossary.md")
        if line.startswith("| ") and not line.startswith("| term")
    ]  # fmt: skip
    assert len(rows) > 50
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells), row
        assert re.fullmatch(r"`[\w/.]+`", cells[3]), row
        assert (ROOT / cells[3].strip("`")).is_file(), row
