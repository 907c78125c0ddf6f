"""Figure (g): bytes an event in the log and in Postgres, bytes an order of heads and keys."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import redis

from events.log.redis.keys import Keys
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

SAMPLE = 500


def sizes(subject: Subject, _: Yardsticks, __: float) -> Outcome:
    """(g) Bytes an event and an order, in Valkey and in Postgres."""
    keys = Keys()
    with redis.Redis.from_url(subject.record.redis_url) as server:
        log = _log(server, keys)
        ids = _orders_with_keys(subject)
        heads = _mean_usage(server, [keys.order(order_id) for order_id in ids])
        named = [keys.idempotency("default", "client", _name(i)) for i in range(SAMPLE)]
        names = _mean_usage(server, named)
    subject.settle()
    tables = subject.sql(
        "SELECT pg_total_relation_size('events')::float8 / (SELECT count(*) FROM events),"
        " pg_total_relation_size('orders')::float8 / (SELECT count(*) FROM orders)"
    )[0]
    rows = (
        ("log in Valkey", log, "B/event", (Target("<= 300 B", 0 < log <= 300),)),
        ("archive in Postgres, index included", tables[0], "B/event", ()),
        ("orders in Postgres, indexes included", tables[1], "B/order", ()),
        ("head in Valkey, until it expires", heads, "B/order", ()),
        ("idempotency key, where one is given", names, "B/order", ()),
    )
    return Outcome(
        tuple(
            Figure(letter="g", what=what, value=value, unit=unit, targets=targets)
            for what, value, unit, targets in rows
        )
    )


def _name(number: int) -> str:
    return f"bench-{number:06d}"


def _log(server: redis.Redis, keys: Keys) -> float:
    """Return the bytes an event of what the log holds, its structure included."""
    xinfo_stream: Any = server.xinfo_stream(keys.log)
    if xinfo_stream["length"] < 2:
        return 0.0
    # The ids are positions of last events: those of the first entry are left out of the count.
    first, last = (
        int(xinfo_stream[name][0].split(b"-")[0]) for name in ("first-entry", "last-entry")
    )
    used = server.memory_usage(keys.log, samples=0)
    return float(used or 0) / max(1, last - first)


def _orders_with_keys(subject: Subject) -> list[str]:
    """Return the ids of new orders that have ended, each submitted under a client's key."""
    draw = random.Random()
    body = {
        "orders": [
            {
                "tokenIn": "SOL",
                "tokenOut": "USDC",
                "amount": str(draw.randrange(1, 10_000) / 100),
                "clientOrderId": _name(i),
            }
            for i in range(SAMPLE)
        ]
    }
    results = subject.post("/api/orders/batch", msgspec.json.encode(body))["results"]
    subject.settle()
    return [result["orderId"] for result in results if "orderId" in result]


def _mean_usage(server: redis.Redis, keys: list[str]) -> float:
    used = [size for key in keys if (size := server.memory_usage(key, samples=0))]
    return sum(used) / len(used) if used else 0.0
