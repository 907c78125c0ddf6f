"""What waits, for how long and why: of single orders, and of each stage; and who works on it.

Nothing is published for this: the due-sets hold the reason of each delay, and everything else
follows from heads, permits and the halt, so that it is true for any number of workers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from events.log.head import RESTING, STAGE_NUMBER, OrderHead, decode_head
from events.log.inbox import ids_of
from events.log.reader import LogReader, Stored
from events.log.redis.keys import GROUP, HOLDERS, PERMITS, Keys
from events.log.redis.link import OutcomeUnknown, RedisConnection, Rejected, Unavailable
from events.order import STAGES, Order, may_still_land, next_stage
from events.order.events.attempt_failed import AttemptFailed
from events.order.events.routing_started import RoutingStarted
from events.order.events.transaction_in_doubt import TransactionInDoubt
from events.order.wait_reasons import DATED, WaitReason, split_score
from events.status import Status
from events.streams.damage import UNDECODABLE

PERMIT_STAGES = frozenset({"router", "submitter"})
"""The stages whose orders need one of CONCURRENCY permits."""
DELAYED_READ = 1000
"""Delayed orders of a stage whose reasons are read; those behind count as the last of these. Few,
as the loop of the gateway decodes them."""
INBOX_READ = 32
"""Inbox entries of a stage that are read, the oldest ones."""
CANDIDATES = 100
"""Orders of a stage among which the oldest is looked for, of each kind: first in the inbox, next
due, and of DELAYED_READ created first."""
LOOKED_UP = 3
"""Of these, how many are looked up in the log."""
EVENTS_READ = 16
"""Events of an order that are read to find out since when it waits for its stage."""

_STAYS = (AttemptFailed, RoutingStarted, TransactionInDoubt)
"""Events after which an order waits for the same stage as before."""


class StageState(NamedTuple):
    """The workers and the inbox of a stage."""

    silent_ms: int | None
    """Time since the last call of any of its workers; None: it has no worker."""
    front: bytes
    """Id of its oldest unsettled inbox entry, delivered or not; empty for an empty inbox."""


class Workers(NamedTuple):
    """The state of all stages and of the watchers."""

    stages: dict[str, StageState]
    watchers: int
    """How many live watchers there are; they follow prices and pools."""
    resting: int
    """Orders that rest until a watcher triggers them."""


class WorkerProcess(NamedTuple):
    """A worker of a stage whose connections to the log's server are open."""

    stage: str
    host: str
    """As `safe_name` writes it, perhaps cut short."""
    pid: int
    silent_s: float
    """Time since its last call. A worker that lives calls every second."""


class Waiting(NamedTuple):
    """Why an order waits, and until when work on it is expected to continue."""

    reason: WaitReason
    until_ms: int | None = None


class Limits(NamedTuple):
    """What holds orders of every stage back."""

    halted: bool = False
    permits_full: bool = False
    holders: Collection[str] = frozenset()
    """Ids of the orders that have had a permit for some time."""


class StageWaits(NamedTuple):
    """What waits for a stage."""

    orders: int
    """Orders that wait for the stage's next event, delayed ones included."""
    delayed: int
    """Those of them in the due-set."""
    oldest_s: float | None
    """How long the oldest has waited for this stage, by the log's time. None: it is not known; 0:
    no order waits."""
    reasons: Mapping[WaitReason, int]


def waiting_of(order: Order, score: float | None, limits: Limits) -> Waiting | None:
    """Why an order waits; None for one that has ended. `score`: of the due-set. Pure."""
    if order.terminal:
        return None
    if order.parked:
        return Waiting(WaitReason.OPERATOR)
    if order.status is Status.WATCHING:
        resting = WaitReason.PRICE if order.kind.waits_for == "price" else WaitReason.POOL
        return Waiting(WaitReason.HALT if limits.halted else resting)
    if may_still_land(order):
        return Waiting(WaitReason.NODE if order.in_doubt else WaitReason.CHAIN)
    if score is not None:
        due_ms, reason = split_score(score)
        return Waiting(reason, due_ms if reason in DATED else None)
    return Waiting(_in_hand(next_stage(order) or "", order.id, limits))


def _in_hand(stage: str, order_id: str, limits: Limits) -> WaitReason:
    """Why an order waits that is in the inbox of a stage."""
    if limits.halted and stage == "submitter":
        return WaitReason.HALT
    if limits.permits_full and stage in PERMIT_STAGES and order_id not in limits.holders:
        return WaitReason.PERMIT
    return WaitReason.CHAIN if stage == "confirmer" else WaitReason.QUEUE


async def of_orders(
    link: RedisConnection, keys: Keys, orders: Sequence[Order], *, concurrency: int
) -> list[Waiting | None]:
    """Why each of these orders waits. Raises LogError."""
    stages = [None if order.terminal else next_stage(order) for order in orders]
    commands = [("ZSCORE", keys.due(s), o.id) for s, o in zip(stages, orders, strict=True) if s]
    time, halted, permits, holders, *scores = await link.pipeline(
        [*_limit_commands(keys), *commands]
    )
    limits = _limits(_ms(time), halted, permits, holders, concurrency)
    left = iter(scores)
    return [
        waiting_of(order, _score(next(left)) if stage else None, limits)
        for order, stage in zip(orders, stages, strict=True)
    ]


async def of_stages(
    link: RedisConnection, reader: LogReader, keys: Keys, *, concurrency: int
) -> dict[str, StageWaits]:
    """What waits for each stage. Raises LogError."""
    commands: list[tuple[str | int, ...]] = [*_limit_commands(keys), ("HGETALL", keys.owed)]
    for stage in STAGES:
        commands.append(("ZCARD", keys.due(stage)))
        commands.append(("ZRANGE", keys.due(stage), 0, DELAYED_READ - 1, "WITHSCORES"))
        commands.append(("XRANGE", keys.inbox(stage), "-", "+", "COUNT", INBOX_READ))
    time, halted, permits, holders, owed, *rest = await link.pipeline(commands)
    now_ms = _ms(time)
    limits = _limits(now_ms, halted, permits, holders, concurrency)
    counts = dict(zip(owed[::2], owed[1::2], strict=True))
    waits = {}
    for number, stage in enumerate(STAGES, start=1):
        delayed, due, inbox = rest[3 * number - 3 : 3 * number]
        ids = [order_id.decode(errors="replace") for order_id in due[::2]]
        entries = [ids_of(fields[1]) for _, fields in inbox]
        in_inbox = [order_id for entry in entries for order_id in entry]
        # The queues are read one after the other: an order on its way may be in two, or in none.
        orders = max(0, int(counts.get(str(number).encode(), 0)))
        reasons = _reasons(stage, orders, delayed, [float(s) for s in due[1::2]], in_inbox, limits)
        oldest_s: float | None = 0.0
        if orders:
            candidates = {
                *in_inbox[:CANDIDATES], *ids[:CANDIDATES], *nsmallest(CANDIDATES, ids),
            }  # fmt: skip
            since_us = await _oldest_us(link, reader, keys, stage, sorted(candidates))
            oldest_s = None if since_us is None else max(0.001, now_ms / 1000 - since_us / 1e6)
        waits[stage] = StageWaits(orders, delayed, oldest_s, reasons)
    return waits


def _reasons(
    stage: str,
    orders: int,
    delayed: int,
    scores: Sequence[float],
    in_inbox: Sequence[str],
    limits: Limits,
) -> dict[WaitReason, int]:
    """How many orders of a stage wait for what. Pure."""
    stored = [split_score(score)[1] for score in scores]
    counts = Counter(stored)
    if stored:
        counts[stored[-1]] += max(0, delayed - len(stored))
    here = max(0, orders - delayed)
    at_work = min(here, sum(order_id in limits.holders for order_id in in_inbox))
    counts[_in_hand(stage, "", limits)] += here - at_work
    counts[WaitReason.QUEUE] += at_work
    return {reason: count for reason, count in counts.items() if count}


async def _oldest_us(
    link: RedisConnection, reader: LogReader, keys: Keys, stage: str, order_ids: Sequence[str]
) -> int | None:
    """Since when the oldest of these orders waits for the stage; None where none can be read."""
    heads = await link.call("MGET", *(keys.order(i) for i in order_ids)) if order_ids else []
    candidates: list[tuple[int, OrderHead]] = []
    for data in heads:
        head = None if data is None else decode_head(data)
        if head is None or head.owes != STAGE_NUMBER[stage]:
            continue
        try:
            order = head.order
        except (msgspec.DecodeError, *UNDECODABLE):
            continue
        retried = order.attempts or order.outages or order.in_doubt
        candidates.append((order.created_at_us if retried else order.updated_at_us, head))
    candidates.sort(key=lambda candidate: candidate[0])
    since = []
    for at_us, head in candidates[:LOOKED_UP]:
        try:
            since_us = _since_us(await reader.at(head.positions[-EVENTS_READ:]))
        except (Unavailable, OutcomeUnknown):  # the writer's time is near enough
            since_us = 0
        since.append(since_us or at_us)
    return min(since, default=None)


def _since_us(events: Sequence[Stored]) -> int:
    """The log's time of the event that made an order wait for its stage, or of the earliest that is
    still there; 0 where none is. Pure.
    """
    since_us = 0
    for stored in reversed(events):
        since_us = stored.time_us
        try:
            fact = stored.record.event().fact
        except (msgspec.DecodeError, *UNDECODABLE):
            break
        if not isinstance(fact, _STAYS):
            break
    return since_us


def _limit_commands(keys: Keys) -> list[tuple[str | int, ...]]:
    return [
        ("TIME",),
        ("HEXISTS", keys.meta, "halted"),
        ("ZRANGE", PERMITS, 0, -1, "WITHSCORES"),
        ("ZRANGE", HOLDERS, 0, -1, "WITHSCORES"),
    ]


def _limits(
    now_ms: int,
    halted: Any,
    permits: Sequence[bytes],
    holders: Sequence[bytes],
    concurrency: int,
) -> Limits:
    full = 0 < concurrency <= len(_leased(permits, now_ms))
    return Limits(bool(halted), full, frozenset(_leased(holders, now_ms)))


def _leased(scored: Sequence[bytes], now_ms: int) -> list[str]:
    """The members of a sorted set whose leases have not ended."""
    return [
        member.decode(errors="replace")
        for member, until in zip(scored[::2], scored[1::2], strict=True)
        if float(until) > now_ms
    ]


def _ms(time: Sequence[bytes]) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _score(reply: bytes | None) -> float | None:
    return None if reply is None else float(reply)


# -- workers ---------------------------------------------------------------------------------------


async def workers_of(link: RedisConnection, keys: Keys) -> Workers:
    """Queries the server. Raises LogError."""
    silences = [await _silent_ms(link, keys.inbox(stage)) for stage in STAGES]
    time, resting, *fronts = await link.pipeline(
        [
            ("TIME",),
            ("HGET", keys.owed, RESTING),
            *(("XRANGE", keys.inbox(stage), "-", "+", "COUNT", 1) for stage in STAGES),
        ]
    )
    watchers = await link.call("ZCOUNT", keys.watchers, int(time[0]) * 1000, "+inf")
    states = {
        stage: StageState(silent_ms, front[0][0] if front else b"")
        for stage, silent_ms, front in zip(STAGES, silences, fronts, strict=True)
    }
    return Workers(states, watchers, int(resting or 0))


async def _silent_ms(link: RedisConnection, inbox: str) -> int | None:
    try:
        consumers = await link.call("XINFO", "CONSUMERS", inbox, GROUP)
    except ResponseError:  # no inbox or no group: no worker has started yet
        return None
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in consumers]
    return min((row[b"idle"] for row in rows), default=None)


_CLIENT = re.compile(rf" name=({'|'.join(STAGES)})-(\S+)-(\d+)-[0-9a-f]+ .*? idle=(\d+) ".encode())
"""A line of CLIENT LIST with the name of a consumer: see `engine.composition.stages`."""


async def worker_processes(link: RedisConnection) -> list[WorkerProcess]:
    """The workers by their connections, which those of a process that hangs outlive, and those of
    one that was killed do not. Empty where the server does not tell. Raises LogError.
    """
    try:
        reply = await link.call("CLIENT", "LIST", "TYPE", "NORMAL")
    except (ResponseError, Rejected):  # not there on some managed servers, or not allowed
        return []
    return _by_process(reply)


def _by_process(clients: bytes) -> list[WorkerProcess]:
    """The most recent call of each process. Pure."""
    silences: dict[tuple[str, str, int], int] = {}
    for stage, host, pid, idle in _CLIENT.findall(clients):
        key = stage.decode(), host.decode(errors="replace"), int(pid)
        silences[key] = min(int(idle), silences.get(key, int(idle)))
    return [WorkerProcess(*key, float(idle_s)) for key, idle_s in silences.items()]
