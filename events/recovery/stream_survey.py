"""Reads a log that may be damaged, entry by entry, without assumptions about its content."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from events.hash_chain import decode_batch
from events.log import Batch, RedisConnection, Stored
from events.telemetry.error_text import error_text

ENTRIES = 500
NUMBER_MAX = 2**53


class RawEntry(NamedTuple):
    """An entry of the stream."""

    id: bytes
    batch: Batch | None
    """None for an entry that cannot be decoded."""
    fault: str
    """The reason that it cannot be decoded; empty for one that can."""


class Meta(NamedTuple):
    """The log's meta. A number is None where it is missing or malformed."""

    there: bool
    epoch: int | None
    position: int | None
    layout: str
    chain: str
    suspended: str
    fields: dict[bytes, bytes]
    """All fields, undecoded."""
    fault: str
    """Its first problem; empty for a sound meta, and where there is none."""


ABSENT = Meta(False, None, None, "", "", "", {}, "")


async def read_meta(link: RedisConnection, key: str) -> Meta:
    """The log's meta, at its own key or that of a fenced log. Raises LogError."""
    try:
        pairs = await link.call("HGETALL", key)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return ABSENT._replace(there=True, fault="meta is not a hash")
    if not pairs:
        return ABSENT
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    epoch, position = _number(fields.get(b"epoch")), _number(fields.get(b"position"))
    wrong = [
        name for name, value in (("epoch", epoch or None), ("position", position)) if value is None
    ]
    for name in ("base", "news"):
        if (value := fields.get(name.encode())) is not None and _number(value) is None:
            wrong.append(name)
    base = _number(fields.get(b"base"))
    if position is not None and base is not None and base > position:
        wrong.append("base")
    fault = f"meta has no readable {' and '.join(wrong)}" if wrong else ""
    text = {name: fields.get(name, b"").decode(errors="replace") for name in _TEXTS}
    return Meta(
        True, epoch or None, position, text[b"layout"], text[b"chain"], text[b"suspended"],
        fields, fault,
    )  # fmt: skip


_TEXTS = (b"layout", b"chain", b"suspended")


def _number(value: bytes | None) -> int | None:
    """A whole number as the engine's functions write it; None for anything else."""
    if value is None or not value.isdigit() or (len(value) > 1 and value.startswith(b"0")):
        return None
    number = int(value)
    return number if number < NUMBER_MAX else None


async def read_entries(link: RedisConnection, key: str, after: bytes = b"-") -> list[RawEntry]:
    """Every entry of the stream, including damaged ones; empty for a key that is not a stream.

    `after`: an entry id, which is excluded. Raises LogError.
    """
    raw_entries: list[RawEntry] = []
    start = b"(" + after if after != b"-" else after
    while True:
        try:
            entries: Any = await link.call("XRANGE", key, start, "+", "COUNT", ENTRIES)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return raw_entries
        if not entries:
            return raw_entries
        raw_entries += [_entry(entry) for entry in entries]
        start = b"(" + entries[-1][0]


def _entry(entry: Any) -> RawEntry:
    entry_id, fields = entry
    last = int(entry_id[: entry_id.index(b"-")])
    try:
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        records = decode_batch(values[b"b"])
        first = last - len(records) + 1
        batch = Batch(first, last, int(values[b"t"]), records, values[b"b"])
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        return RawEntry(entry_id, None, f"it cannot be decoded: {error_text(error)}")
    if not records or not entry_id.endswith(b"-0") or first < 1:
        return RawEntry(entry_id, batch, "no append makes such an id")
    return RawEntry(entry_id, batch, "")


def stored_in(entry: RawEntry) -> list[Stored]:
    """The events of an entry with their positions."""
    batch = entry.batch
    if batch is None:
        return []
    return [
        Stored(position, batch.time_us, record)
        for position, record in enumerate(batch.records, batch.first)
    ]
