"""Whether somebody reads the inboxes, and what stands at their fronts."""

from __future__ import annotations

from typing import NamedTuple

from redis.exceptions import ResponseError

from events.log.head import RESTING
from events.log.redis.keys import GROUP, Keys
from events.log.redis.link import RedisConnection
from events.order import STAGES


class StageState(NamedTuple):
    """A stage as the server sees it."""

    silent_ms: int | None
    """Since a worker of it was last heard; None: it has none."""
    front: bytes
    """Its oldest inbox entry that is not settled, delivered or not; empty: there is none."""


class Workers(NamedTuple):
    """Who works."""

    stages: dict[str, StageState]
    watchers: int
    """How many live that follow prices and pools."""
    resting: int
    """Orders that wait for these."""


async def look(link: RedisConnection, keys: Keys) -> Workers:
    """Asks the server. Raises LogError."""
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
    except ResponseError:  # no inbox, or no group: nobody has ever come
        return None
    told = [dict(zip(row[::2], row[1::2], strict=True)) for row in consumers]
    return min((row[b"idle"] for row in told), default=None)
