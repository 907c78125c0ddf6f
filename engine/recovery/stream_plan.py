"""The log's stream after a repair: intact entries stay, missing ones are written.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from events.archive.page import array
from events.hash_chain import encode_record
from events.log import Stored
from events.recovery.log_rebuild import LogEntry
from events.recovery.stream_survey import RawEntry, stored_in

EVENTS = 500
"""The most events that one append writes."""


class Target(NamedTuple):
    """The stream after the repair."""

    entries: list[LogEntry]
    faults: list[str]
    """The differences from the current stream."""

    def digest_at(self, position: int) -> bytes:
        """What a checkpoint there keeps of the entry; empty where no entry holds it."""
        for entry in reversed(self.entries):
            if entry.first <= position <= entry.last:
                return sha256(entry.data).digest()
        return b""


def target(
    entries: Sequence[RawEntry], proved: Mapping[int, Stored], archived: int, end: int
) -> Target:
    """`proved`: the events, from where the stream is to begin at the latest; `archived`: how far
    the archive goes, whose last event the stream has to hold; `end`: the last event.
    """
    intact, faults = _intact(entries, proved, end)
    if not end:
        return Target([], faults)
    at = min(min(intact, default=end), max(1, archived))
    kept: list[LogEntry] = []
    missing: list[Stored] = []
    while at <= end:
        entry = intact.get(at)
        if entry is None:
            missing += [proved[at]] if at in proved else []  # else it is lost
            at += 1
        if missing and (entry is not None or not _fits(missing, proved.get(at))):
            kept.append(entry_of(missing))
            faults.append(f"no intact entry holds {_ids_of(missing)}")
            missing = []
        if entry is not None:
            kept.append(entry)
            at = entry.last + 1
    return Target(kept, faults)


def _intact(
    entries: Sequence[RawEntry], proved: Mapping[int, Stored], end: int
) -> tuple[dict[int, LogEntry], list[str]]:
    intact: dict[int, LogEntry] = {}
    faults = []
    covered = 0
    for entry in entries:
        batch, name = entry.batch, entry.id.decode()
        if entry.fault or batch is None:
            faults.append(f"entry {name}: {entry.fault}")
        elif batch.last > end:
            faults.append(f"entry {name}: it stands behind the log's last event, {end}")
        elif batch.first <= covered:
            faults.append(f"entry {name}: it repeats position {batch.first}")
        elif any(
            (known := proved.get(stored.position)) is None or known.record != stored.record
            for stored in stored_in(entry)
        ):
            faults.append(f"entry {name}: its events are not those that were proved")
        else:
            intact[batch.first] = LogEntry(batch.last, batch.time_us, batch.data, batch.first)
            covered = batch.last
    return intact, faults


def entry_of(events: Sequence[Stored]) -> LogEntry:
    """One entry of consecutive events."""
    data = array(len(events)) + b"".join(
        encode_record(stored.record.hash, bytes(stored.record.body)) for stored in events
    )
    return LogEntry(events[-1].position, events[-1].time_us, data, events[0].position)


def _fits(events: Sequence[Stored], following: Stored | None) -> bool:
    """Whether the next event may be in the same entry: all events of an entry have its time."""
    if following is None or following.position != events[-1].position + 1:
        return False
    return len(events) < EVENTS and events[0].time_us == following.time_us


def _ids_of(events: Sequence[Stored]) -> str:
    first, last = events[0].position, events[-1].position
    return f"position {first}" if first == last else f"positions {first} to {last}"
