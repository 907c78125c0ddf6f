"""The folder tree is the architecture: who may import whom, and which door leads outside."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
MAY_IMPORT = {
    "events": set(),
    "stages": {"events"},
    "projections": {"events"},
    "gateway": {"projections", "events"},
    "engine": {"events", "gateway", "projections", "stages"},
}
# A backend's library -> the files and folders that may import it.
DOORS = {
    "redis": ("events/log/", "engine/"),
    "hiredis": ("events/log/", "engine/"),
    "prometheus_client": ("gateway/exposition.py",),
    "opentelemetry": ("engine/otlp.py",),
    "asyncpg": ("projections/", "events/archive/", "engine/"),
    "sqlite3": ("stages/venues/",),
    "solders": ("stages/venues/", "engine/"),
}
# The client of a library whose server others may use, by its name.
CLIENTS = {"ClientSession": ("stages/venues/", "engine/")}


def modules() -> list[tuple[str, str]]:
    """Every (file, imported module) of the product."""
    found = []
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            file = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found += [(file, alias.name) for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found += [(file, node.module)]
                    found += [(file, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def test_packages_import_only_what_lies_below_them() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for package, target in [(file.split("/")[0], module.split(".")[0])]
        if target in OURS and target != package and target not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_each_backend_has_one_door() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for library, doors in DOORS.items()
        if module.split(".")[0] == library and not file.startswith(doors)
    ]
    assert not wrong


def test_only_venues_and_the_engine_are_clients_of_http() -> None:
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for name, doors in CLIENTS.items()
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(doors)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if name in (getattr(node, "attr", None), getattr(node, "name", None))
    ]
    assert not wrong


def test_stages_know_neither_each_other_nor_a_venue() -> None:
    names = ("router", "builder", "submitter", "confirmer", "watcher")
    wrong = [
        (file, module)
        for file, module in modules()
        if file in {f"stages/{name}.py" for name in names}
        and (
            module.removeprefix("stages.").split(".")[0] in names
            # What is written small lies below the protocol: a concrete venue.
            or (module.startswith("stages.venues.") and module.split(".")[2].islower())
        )
    ]
    assert not wrong


def test_only_the_engine_reads_the_environment() -> None:
    wrong = []
    for package in OURS[1:]:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                    wrong.append(path.relative_to(ROOT).as_posix())
    assert not wrong


def test_nothing_is_named_for_not_knowing_what_it_is() -> None:
    vague = {"utils", "util", "core", "common", "helpers", "helper", "manager", "misc"}
    wrong = [
        path
        for package in (*OURS, "tests")
        for path in (ROOT / package).rglob("*.py")
        if path.stem in vague or vague & set(path.relative_to(ROOT).parts)
    ]
    assert not wrong
