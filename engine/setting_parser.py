"""Parses and prints the text of a setting; an error states in one line what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect as shapes


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line."""


def convert(name: str, text: str, kind: Any) -> Any:
    """Returns the value of `text` as `kind`. Raises SettingsError."""
    shape = shapes.type_info(kind)
    inner = shape.type if isinstance(shape, shapes.Metadata) else shape
    raw: object = text
    if isinstance(inner, shapes.VarTupleType):
        raw = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=lambda of, value: of(value))
    except msgspec.ValidationError as error:
        msg = f"{name}={text!r}: expected {_expected(inner, error)}"
        raise SettingsError(msg) from None


def _expected(shape: shapes.Type, error: Exception) -> str:
    """Describes what a value has to be."""
    match shape:
        case shapes.IntType(ge=low, le=None):
            return f"a whole number of at least {low}"
        case shapes.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case shapes.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case shapes.BoolType():
            return "1 or 0"
        case shapes.DecimalType():
            return "a decimal number"
        case _:
            return str(error).removeprefix("Expected ")


def text_of(value: object, text: Callable[[object], str] = str) -> str:
    """Returns the text that `convert` reads as `value`. `text` prints a single value."""
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(text, value)) if isinstance(value, tuple) else text(value)
