"""What the log server keeps beside the events, held against what the events add up to.

All of it is written in the call that writes an event, so it is exact whenever nothing is appended
between two looks; on a busy engine the audit's own look at heads and lists has to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.repair.reconcile import Lives
from events.idempotency import digest_of, names_of
from events.ids import ENGINE_ID
from events.log import PARKED, RESTING, EventLog, Head
from events.log.head import NOBODY, decode_head
from events.log.link import Link
from events.log.refound import ID_LENGTH, Claim, Known, Name
from events.log.units import WAIT_MAX_MS
from events.order import STAGES
from events.order.stored import basis
from events.types import Status

TRIES = 5
EXPIRING_MS = 5_000
"""A key that is as near to its end may be gone already."""
BATCH = 500

_TYPES = {"stream": "stream", "zset": "sorted set", "hash": "hash"}


def names_in(log: EventLog, lives: Lives) -> list[Name]:
    """The keys that orders were posted with: while these are open, and then for a window."""
    names: dict[str, Name] = {}
    for asked in lives.submitted.values():  # of two orders that had one name the later has it
        said = names_of(log.keys, asked.account, asked.order_id, asked.fact)
        until_ms = None if asked.ended_us is None else asked.ended_us // 1000 + log.window_ms
        names |= {key: Name(key, said.value, until_ms) for key in said.keys} if said else {}
    return list(names.values())


def claims_in(log: EventLog, lives: Lives) -> dict[bytes, Claim]:
    """By order id: what a key that names the order has to hold."""
    claims = {}
    for asked in lives.submitted.values():
        until_ms = None if asked.ended_us is None else asked.ended_us // 1000 + log.window_ms
        claims[asked.order_id.encode()] = Claim(digest_of(asked.fact), until_ms)
    return claims


def known_in(lives: Lives, *, archived: int, heads_kept_ms: int, now_us: int) -> list[Known]:
    """The heads that are to stand: of open orders, and of those that ended lately."""
    known = [life.known() for life in lives.open.values()]
    for life in lives.ended.values():
        kept_ms = None
        if life.positions[-1] <= archived:
            kept_ms = heads_kept_ms - (now_us - life.changed_us) // 1000
            if kept_ms <= 0:
                continue
        known.append(life.known()._replace(kept_ms=kept_ms))
    return known


async def derived_faults(log: EventLog, link: Link, lives: Lives, position: int) -> list[str]:
    """What differs, as long as the log ends at `position`; nothing where it moves on."""
    for _ in range(TRIES):
        faults = await _faults(log, link, lives)
        if int(await link.call("HGET", log.keys.meta, "position") or 0) != position:
            return []
        if not faults:
            return []
        again = set(await _faults(log, link, lives))
        faults = [fault for fault in faults if fault in again]
        if int(await link.call("HGET", log.keys.meta, "position") or 0) == position:
            return faults
    return []


async def _faults(log: EventLog, link: Link, lives: Lives) -> list[str]:
    if wrong := await _wrong_types(log, link):
        return wrong
    seconds, us = await link.call("TIME")
    now_us = int(seconds) * 1_000_000 + int(us)
    known = {k.order_id: k for k in (life.known() for life in lives.open.values())}
    return [
        *await _heads(log, link, known),
        *await _lists(log, link, known, now_us // 1000),
        *await _inboxes(log, link, known, now_us // 1000),
        *await _names(log, link, lives, now_us),
        *await _marks(log, link, lives),
    ]


async def _wrong_types(log: EventLog, link: Link) -> list[str]:
    keys = log.keys
    expected = {
        keys.open: "zset", keys.parked: "zset", keys.expiry: "zset", keys.owed: "hash",
        keys.book: "stream", keys.watchers: "zset", keys.leases: "hash", keys.slots: "hash",
        keys.heard: "hash",
    }  # fmt: skip
    for stage in STAGES:
        expected[keys.inbox(stage)] = "stream"
        expected[keys.due(stage)] = "zset"
        expected[keys.shares(stage)] = "hash"
    found = await link.pipeline([("TYPE", key) for key in expected])
    return [
        f"{key} is no {_TYPES[kind]}"
        for (key, kind), is_ in zip(expected.items(), found, strict=True)
        if is_.decode() not in ("none", kind)
    ]


async def _heads(log: EventLog, link: Link, known: Mapping[str, Known]) -> list[str]:
    faults = []
    for some in _parts(list(known)):
        found = await link.call("MGET", *(log.keys.order(i) for i in some))
        for order_id, head in zip(some, found, strict=True):
            expected = known[order_id].head
            if head is None:
                faults.append(f"open order {order_id} has no head")
            elif head != expected and not _means_the_same(decode_head(head), decode_head(expected)):
                faults.append(f"the head of order {order_id} is not what its events say")
    return faults


def _means_the_same(head: Head, expected: Head) -> bool:
    """An older build left some fields out of the order in it."""
    fixed = ("version", "hash", "owes", "positions")
    if any(getattr(head, name) != getattr(expected, name) for name in fixed):
        return False
    try:
        return basis(head.order) == basis(expected.order)
    except msgspec.DecodeError:
        return head.owes == PARKED  # for that it is parked: an operator's replay mends it


async def _lists(log: EventLog, link: Link, known: Mapping[str, Known], now_ms: int) -> list[str]:
    keys, listed = log.keys, [k for k in known.values() if k.owes != NOBODY]
    expected: dict[str, dict[str, int | None]] = {
        keys.open: {k.order_id: None for k in listed},
        keys.parked: {k.order_id: None for k in listed if k.owes == PARKED},
        keys.expiry: {k.order_id: k.expires_ms for k in listed if k.expires_ms is not None},
    }
    names = {keys.open: "open orders", keys.parked: "parked orders", keys.expiry: "expiries"}
    faults = []
    for key, wanted in expected.items():
        pairs = await link.call("ZRANGE", key, 0, -1, "WITHSCORES")
        there = {
            m.decode(errors="replace"): float(s)
            for m, s in zip(pairs[::2], pairs[1::2], strict=True)
        }
        if there.keys() != wanted.keys() or any(
            score is not None and there[member] > max(score, now_ms) + WAIT_MAX_MS
            for member, score in wanted.items()
        ):
            faults.append(f"the list of {names[key]} is not what the events add up to")
    counted = await link.call("HGETALL", keys.owed)
    counts = dict(zip(counted[::2], counted[1::2], strict=True))
    for number in (*range(1, len(STAGES) + 1), RESTING):
        owed = sum(k.owes == number for k in listed)
        if counts.get(b"%d" % number, b"0") != b"%d" % owed:
            faults.append("the numbers of orders that stages have before them are wrong")
            break
    return faults


async def _inboxes(log: EventLog, link: Link, known: Mapping[str, Known], now_ms: int) -> list[str]:
    faults = []
    for number, stage in enumerate(STAGES, start=1):
        named: set[str] = set()
        for _, fields in await link.call("XRANGE", log.keys.inbox(stage), "-", "+"):
            joined = dict(zip(fields[::2], fields[1::2], strict=False)).get(b"o", b"")
            ids = {joined[at : at + ID_LENGTH].decode(errors="replace")
                   for at in range(0, len(joined), ID_LENGTH)}  # fmt: skip
            if not ids or any(len(one) != ID_LENGTH for one in ids):
                faults.append(f"the inbox of the {stage} has an entry that names no orders")
            named |= ids
        pairs = await link.call("ZRANGE", log.keys.due(stage), 0, -1, "WITHSCORES")
        due = {
            m.decode(errors="replace"): float(s)
            for m, s in zip(pairs[::2], pairs[1::2], strict=True)
        }
        if any(score > now_ms + 2 * WAIT_MAX_MS for score in due.values()):
            faults.append(f"the {stage} has orders that wait for a time that never comes")
        owed = {k.order_id for k in known.values() if k.owes == number}
        if owed - named - due.keys():
            faults.append(f"open orders are in no inbox of the {stage}, though it owes them")
    return faults


async def _names(log: EventLog, link: Link, lives: Lives, now_us: int) -> list[str]:
    expected = {
        n.key: n.value
        for n in names_in(log, lives)
        if n.until_ms is None or n.until_ms > now_us // 1000 + EXPIRING_MS
    }
    wrong = 0
    for some in _parts(list(expected)):
        found = await link.call("MGET", *some)
        wrong += sum(value != expected[key] for key, value in zip(some, found, strict=True))
    claims = {i: claim.digest for i, claim in claims_in(log, lives).items()}
    cursor: Any = b"0"
    while True:
        cursor, keys = await link.call(
            "SCAN", cursor, "MATCH", log.keys.idempotency("*", "*", "*"), "COUNT", 10_000
        )
        values = await link.call("MGET", *keys) if keys else []
        wrong += sum(
            value is not None
            and key.decode(errors="replace") not in expected
            and claims.get(value[:ID_LENGTH]) != value[ID_LENGTH:]
            and _is_ours(value, lives)
            for key, value in zip(keys, values, strict=True)
        )
        if cursor == b"0":
            break
    return [f"{wrong} idempotency keys do not name their orders"] if wrong else []


def _is_ours(value: bytes, lives: Lives) -> bool:
    """Whether it must be right: one that came with a later request may outlive what is known of its
    order, and is no fault then.
    """
    return (
        len(value) != ID_LENGTH + 32
        or value[:ID_LENGTH].decode(errors="replace") in lives.submitted
    )


async def _marks(log: EventLog, link: Link, lives: Lives) -> list[str]:
    faults = []
    engine = lives.open.get(ENGINE_ID)
    halted = engine is not None and engine.order.status is Status.HALTED
    if bool(await link.call("HEXISTS", log.keys.meta, "halted")) is not halted:
        faults.append("the mark of a halt is not what the events say")
    news = await link.call("HGET", log.keys.meta, "news") or b"0"
    newest = await link.call("XREVRANGE", log.keys.book, "+", "-", "COUNT", 1)
    number = newest[0][0].partition(b"-")[0] if newest else None
    if (number is not None and number != news) or (number is None and news != b"0"):
        faults.append("the number of the newest news is not that of the books' stream")
    return faults


def _scores(pairs: Sequence[bytes]) -> dict[str, float]:
    """The members of a sorted set."""
    members = (member.decode(errors="replace") for member in pairs[::2])
    return dict(zip(members, map(float, pairs[1::2]), strict=True))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + BATCH] for at in range(0, len(ids), BATCH))
