"""Only `stages/venues/solana/cluster/slot_time.py` knows how long a slot is.

The tree is searched for such figures.

Looked for: constants named for the length of a slot, defaults of `slot_ms`, and slots that are
multiplied with or divided by a number that could be a length. Lengths of the local and of the
simulated chain, which have no other clock, are listed with their reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
OWNER = "stages/venues/solana/cluster/slot_time.py"
ALLOWED = {
    ("engine/settings.py", "slot_ms"): "the setting of the local and of the simulated chain",
    ("engine/localnet/open.py", "slot_ms"): "the local chain itself",
    ("engine/localnet/node.py", "FAST_SLOT_MS"): "the local chain itself, SLOT_MS=0",
    ("stages/venues/simulated/venue.py", "slot_ms"): "the simulated chain itself",
    ("stages/triggers/watcher.py", "NO_SLOT_MS"): "a wait while no slot is known",
    ("engine/localnet/genesis/dlmm.py", "144 * slot"): "bytes of a place in an array",
    ("engine/localnet/bank.py", "slot // SLOTS_IN_EPOCH"): "slots, not their length",
}
LENGTH = re.compile(r"(^|_)slots?_(\w+_)?(ms|s|us|seconds)$|^(ms|s|seconds)_(a|per)_slot$", re.I)
A_SLOT = re.compile(r"slot", re.I)
LENGTHS = ((0.1, 1.0), (100, 1_000), (100_000, 1_000_000))
"""Seconds, milliseconds and microseconds that could be the length of a slot."""
UNITS = {1_000, 100_000, 1_000_000}


def number(node: ast.AST | None, known: Mapping[str, float]) -> float | None:
    """What an expression is worth, as far as constants of its module tell."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return known.get(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            positive = number(operand, known)
            return None if positive is None else -positive
    return None


def named(tree: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Names and what they are set to: variables, fields, defaults of parameters, keywords."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.keyword(arg=str() as name, value=value):
                yield name, value
            case ast.arguments():
                both = (
                    *zip(
                        reversed([*node.posonlyargs, *node.args]),
                        reversed(node.defaults),
                        strict=False,
                    ),
                    *zip(node.kwonlyargs, node.kw_defaults, strict=True),
                )
                for argument, default in both:
                    yield argument.arg, default


def lengths(text: str) -> Iterator[str]:
    """Names and expressions of a module that know the length of a slot."""
    tree = ast.parse(text)
    known: dict[str, float] = {}
    for name, value in named(tree):
        if name.isupper() and (worth := number(value, {})) is not None:
            known[name] = worth
    for name, value in named(tree):
        if LENGTH.search(name) and number(value, known):
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv):
            for item, other in ((node.left, node.right), (node.right, node.left)):
                worth = number(other, known)
                in_range = worth is not None and any(a <= worth <= b for a, b in LENGTHS)
                # Two lengths in one product are units: `slots * slot_ms / 1000`.
                units = worth in UNITS
                if in_range and not units and A_SLOT.search(ast.unparse(item)):
                    yield ast.unparse(node)


def test_only_one_module_defines_the_length_of_a_slot() -> None:
    results = {
        (file, what)
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
        if (file := path.relative_to(ROOT).as_posix()) != OWNER
        for what in lengths(path.read_text(encoding="utf-8"))
    }
    assert results == ALLOWED.keys()


@pytest.mark.parametrize(
    "text",
    [
        "LEAST_SLOT_S = 0.3",
        "SLOT_MS: int = 400",
        "class Options:\n    slot_ms: int = 400",
        "def height(slot_ms=400): ...",
        "def height(*, slot_ms: int = 400): ...",
        "Simulation(slot_ms=400)",
        "age_s = (epoch.absolute_slot - first_slot) * 0.4",
        "QUICK = 0.25\nage_s = QUICK * slots",
        "slots = waited_s / 0.4 if slot else 0\nage_ms = slot * 400",
        "left_s = slots_left * 2 / 5 * 0.4",
        "SECONDS_PER_SLOT = 0.4",
    ],
)
def test_the_search_reports_every_form_of_a_slot_length(text: str) -> None:
    assert list(lengths(text))


@pytest.mark.parametrize(
    "text",
    ["slots = 150", "seconds = slots * slot_ms / 1000", "slot // 2", "BLOCKHASH_SLOTS = 150"],
)
def test_the_search_leaves_counts_and_units_alone(text: str) -> None:
    assert not list(lengths(text))


OLD_TIMES = re.compile(
    r"\bslots? (of|takes?|is|are|last) (about )?(400 ms|0\.4 s)|(400 ms|0\.4 s) (a|per) slot", re.I
)
"""The length of before autumn 2026, told of slots."""


def test_no_document_has_an_outdated_slot_length() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    results = [
        (path.name, line)
        for path in documents
        for line in path.read_text(encoding="utf-8").splitlines()
        if OLD_TIMES.search(line) and path.name != "CHANGELOG.md"
    ]
    assert not results
    assert all(map(OLD_TIMES.search, ("A slot takes 400 ms.", "slots of 0.4 s", "400 ms per slot")))
