"""Documents about the settings: the values in force, docs/reference/settings.md, `.env.example`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect as shapes

from engine.setting_parser import text_of
from engine.settings import Settings

_HEAD = """\
# Settings

Settings come from the environment and from `.env`; the environment wins.
An invalid value is an error at start.
`.env` is read as Docker Compose reads it: comments, quotes, `export` and values of several lines.
`$NAME`, `${NAME}` and `${NAME:-default}` are expanded, not between single quotes; `$$` is a `$`.
A variable that is not set, and has no default, is an error.
Settings that have no effect beside the others are logged at start.
A secret may be in a file that `NAME_FILE` names: `API_KEY_FILE`, `DATABASE_PASSWORD_FILE`, …
Variables of libpq (`PGHOST`, `PGPASSWORD`, `PGSSLMODE`) have no effect: DATABASE_URL has it all.
`engine settings` prints the values in force, with secrets masked.

Made by `engine docs --write`.
"""


def shown(settings: Settings) -> dict[str, str]:
    """Returns the settings by the names of their variables, secrets masked."""
    return {
        f.name.upper(): text_of(getattr(settings, f.name)) for f in msgspec.structs.fields(settings)
    }


def markdown() -> str:
    """Returns the table of docs/reference/settings.md."""
    rows = ["| Variable | Default | Unit | Meaning |", "|---|---|---|---|"]
    for name, shape, default in _table():
        extra, schema = shape.extra or {}, shape.extra_json_schema or {}
        shown = f"`{default}`" if default else "(empty)"
        rows.append(f"| `{name}` | {shown} | {extra.get('unit', '')} | {schema['description']} |")
    return "\n".join(rows)


def reference() -> str:
    """Returns docs/reference/settings.md."""
    return f"{_HEAD}\n{markdown()}\n"


def dotenv() -> str:
    """Returns a `.env` file with every setting, commented out, at its default."""
    head = "# Copy to .env and uncomment what you change. The environment wins over this file.\n"
    lines = [
        f"\n# {(shape.extra_json_schema or {})['description']}\n# {name}={default}\n"
        for name, shape, default in _table()
    ]
    return head + "".join(lines)


def _table() -> Iterator[tuple[str, shapes.Metadata, str]]:
    for field in msgspec.structs.fields(Settings):
        shape = shapes.type_info(field.type)
        assert isinstance(shape, shapes.Metadata), f"{field.name} has no _doc"
        yield field.name.upper(), shape, text_of(field.default)
