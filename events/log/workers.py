"""The liveness of workers and watchers, and the oldest entry of each inbox."""

from __future__ import annotations

from typing import NamedTuple

from redis.exceptions import ResponseError

from events.log.head import RESTING
from events.log.redis.keys import GROUP, Keys
from events.log.redis.link import RedisConnection
from events.order import STAGES


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


async def look(link: RedisConnection, keys: Keys) -> Workers:
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
