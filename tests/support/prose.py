"""The prose of the project, by kind: documents, docstrings, comments, and texts that users read."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
GENERATED = (
    "docs/reference/authorization.md", "docs/reference/commands.md", "docs/reference/errors.md",
    "docs/reference/events.md", "docs/reference/metrics.md", "docs/reference/settings.md",
)  # fmt: skip
"""Their texts are checked as well; a mend belongs into the code."""


class Text(NamedTuple):
    """A piece of prose and where it stands."""

    where: str
    text: str


def documents() -> list[Path]:
    """Every Markdown file of the project, but for the notes on recorded data."""
    roots = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
    return sorted(roots)


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a document outside code blocks, numbered."""
    code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            yield number, line


def document_texts() -> Iterator[Text]:
    """The prose of the documents. What stands between backticks is code, and left out."""
    for path in documents():
        name = path.relative_to(ROOT).as_posix()
        for number, line in paragraphs(path):
            yield Text(f"{name}:{number}", re.sub(r"`[^`]*`", "`", line))


@cache
def strings(folder: str) -> tuple[tuple[Text, bool], ...]:
    """The strings of the Python files below a folder, and whether each stands alone."""
    result = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            match node:
                case ast.Constant(value=str() as text):
                    result.append((Text(f"{name}:{node.lineno}", text), id(node) in alone))
    return tuple(result)


def docstrings(*folders: str) -> Iterator[Text]:
    """Docstrings of modules, classes, functions and attributes: strings that stand alone."""
    for folder in folders:
        yield from (text for text, alone in strings(folder) if alone)


class _Page(HTMLParser):
    """The words of a page: text, and attributes that are read out or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[int, str]] = []

    def handle_data(self, data: str) -> None:
        self.texts.append((self.getpos()[0], data))

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = ("title", "placeholder", "aria-label", "alt")
        self.texts += [(self.getpos()[0], text) for key, text in attrs if text and key in shown]


def console_texts() -> Iterator[Text]:
    """What the console shows: its page, and the strings of its scripts that hold a space."""
    static = ROOT / "gateway/static"
    for path in sorted(static.glob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        yield from (Text(f"gateway/static/{path.name}:{line}", text) for line, text in page.texts)
    for path in sorted(static.glob("*.js")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            code = line.partition("//")[0] if "://" not in line else line
            for quoted in re.findall(r'"([^"]* [^"]*)"|`([^`]* [^`]*)`', code):
                yield Text(f"gateway/static/{path.name}:{number}", "".join(quoted))


def described(document: Any, at: str) -> Iterator[Text]:
    """Titles, summaries and descriptions of an OpenAPI or AsyncAPI document."""
    if isinstance(document, list):
        for number, item in enumerate(document):
            yield from described(item, f"{at}/{number}")
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in ("summary", "description", "title") and isinstance(value, str):
                yield Text(f"{at}/{key}", value)
            else:
                yield from described(value, f"{at}/{key}")


def message_strings(*folders: str) -> Iterator[Text]:
    """Sentences in code: strings with a space that are not docstrings, as errors and help have."""
    for folder in folders:
        texts = (text for text, alone in strings(folder) if not alone)
        yield from (text for text in texts if " " in text.text.strip())


def names_of_tests() -> Iterator[Text]:
    """The names of the tests, as sentences."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=test) | ast.AsyncFunctionDef(name=test):
                    if test.startswith("test_"):
                        yield Text(f"{name}:{node.lineno}", test.replace("_", " "))


LINE_COMMENTS = {
    ".conf": "#", ".css": "", ".html": "", ".js": "//", ".lua": "--", ".mjs": "//", ".sh": "#",
    ".sql": "--", ".toml": "#", ".yaml": "#", ".yml": "#", "": "#",
}  # fmt: skip
"""What begins a comment in a file of each kind; "" is that of Makefile, Dockerfile and scripts."""
BLOCK_COMMENT = re.compile(r"/\*(.*?)\*/|<!--(.*?)-->", re.DOTALL)
DATA = ("docs/screenshots/", "projections/postgres/migrations/", "tests/vectors/")
"""Recorded, or never changed once they are applied."""


def tracked() -> list[Path]:
    """The files of the project, but for `DATA`."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = (name for name in listed.stdout.splitlines() if not name.startswith(DATA))
    return [path for name in names if (path := ROOT / name).is_file()]


def comments_of(name: str, text: str) -> Iterator[tuple[int, str]]:
    """The comments of a file of any kind, numbered by line."""
    suffix = Path(name).suffix if not Path(name).name.startswith(".env") else ""
    if suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    elif suffix in LINE_COMMENTS:
        if suffix in (".css", ".html", ".js", ".mjs"):
            for block in BLOCK_COMMENT.finditer(text):
                first = text.count("\n", 0, block.start()) + 1
                lines = (block[1] or block[2] or "").splitlines()
                yield from enumerate(lines, start=first)
        if mark := LINE_COMMENTS[suffix]:
            begin = re.compile(rf"(?:^|\s){re.escape(mark)}(.*)")
            for number, line in enumerate(text.splitlines(), start=1):
                if hit := begin.search(line):
                    yield number, hit[1]


def comments() -> Iterator[Text]:
    """The comments of every file: of code, tests, scripts, styles, pages and configuration."""
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if Path(name).suffix in (*LINE_COMMENTS, ".py") or Path(name).name.startswith(".env"):
            text = path.read_text(encoding="utf-8")
            for line, words in comments_of(name, text):
                yield Text(f"{name}:{line}", re.sub(r"`[^`]*`", "`", words))


def mutant_descriptions() -> Iterator[Text]:
    """What each planted bug does, in the tables of `tests/mutants`."""
    for path in sorted((ROOT / "tests/mutants/rules").glob("*.toml")):
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
            yield Text(f"{path.name}: {row['id']}", row["bug"])


def configuration_texts() -> Iterator[Text]:
    """The texts of alerts and dashboards, line by line."""
    for path in sorted((ROOT / "deploy").rglob("*.*")):
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(r'"?(title|description|summary)"?:', line):
                yield Text(f"{name}:{number}", line)
