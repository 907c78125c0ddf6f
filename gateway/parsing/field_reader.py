"""A JSON object, field by field: its raw values, and all that is wrong with them. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from typing import TypeVar

import msgspec

from events.money import AmountError
from gateway.http.problems import FieldError, Problem, invalid
from gateway.parsing import values

FIELDS_MAX = 100
"""Fields of an object: several times what any request has. Each unknown one is reported."""

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_object(body: bytes | msgspec.Raw, pointer: str = "") -> Fields:
    """The fields of a JSON object, still raw. Raises Problem."""
    fields = decode(_object, body, pointer)
    if len(fields) > FIELDS_MAX:
        raise Problem("too-many-fields", f"{len(fields)} fields; nothing here has {FIELDS_MAX}")
    text = bytes(body)
    if text.count(b":") > len(fields):  # only then can a field be there twice
        _check_duplicates(text, pointer)
    return fields


def decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, pointer: str) -> T:
    """The decoded value at a JSON pointer of the request. Raises Problem."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise invalid([FieldError("wrong-type", pointer, str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", str(error)) from None
    except RecursionError:
        raise Problem("json-too-deep") from None


def _check_duplicates(body: bytes, pointer: str) -> None:
    """Raises Problem for a field that is given twice: which value is meant cannot be told."""
    try:
        names = Counter(name for name, _ in json.loads(body, object_pairs_hook=list))
    except (ValueError, RecursionError) as error:  # bytes that are not text, endless numbers
        raise Problem("malformed-json", str(error)[:200]) from None
    twice = sorted(name for name, times in names.items() if times > 1)[:FIELDS_MAX]
    if twice:
        detail = "the field stands there more than once"
        raise invalid(
            [FieldError("duplicate-field", pointer + pointer_of(n), detail) for n in twice]
        )


class FieldReader:
    """Reads the fields of an object and collects what is wrong with them."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self.given = {name: raw for name, raw in fields.items() if bytes(raw) != b"null"}
        """The fields with a value; null counts as absent."""
        self.faults: list[FieldError] = []

    def __iter__(self) -> Iterator[str]:
        """The names of all fields, in the order of the request."""
        return iter(self._fields)

    def take(
        self, name: str, read: Callable[..., T], *context: object, required: bool = False
    ) -> T | None:
        """The field's value as `read(raw, *context)` returns it; null counts as absent."""
        raw = self.given.get(name)
        if raw is None:
            if required:
                self.missing(name)
            return None
        try:
            return read(raw, *context)
        except values.InvalidField as bad:
            self.fault(bad.code, name, bad.detail)
        except AmountError as error:
            self.fault(error.code, name, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fault("wrong-type", name, str(error))
        return None

    def fault(self, code: str, name: str, detail: str) -> None:
        """Adds a fault of a field."""
        self.faults.append(FieldError(code, pointer_of(name), detail))

    def missing(self, name: str) -> None:
        """Adds the fault of a required field that is absent."""
        self.fault("missing-field", name, f"`{name}` is required")

    def has(self, name: str) -> bool:
        """Whether the field has a value, valid or not."""
        return name in self.given

    def is_null(self, name: str) -> bool:
        """Whether the field is an explicit null."""
        return name in self._fields and name not in self.given

    def check_names(self, known: Set[str]) -> None:
        """Adds a fault for each field that is not known."""
        if self._fields.keys() <= known:
            return
        for name in self._fields:
            if name not in known:
                detail = f"the fields are {', '.join(sorted(known))}"
                self.fault("unknown-field", name[:100], detail)

    def check(self) -> None:
        """Raises Problem with all faults."""
        if self.faults:
            raise invalid(self.faults)


def pointer_of(name: str) -> str:
    """The JSON pointer (RFC 6901) of a field of the top object."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
