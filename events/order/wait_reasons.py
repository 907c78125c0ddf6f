"""Why an order waits: a closed table of reasons.

A stage that delays an order stores the number of the reason beside the time, in the order's score
of the due-set, so that every process can read it. The others follow from the order's state. Pure.
"""

from __future__ import annotations

import math
from enum import StrEnum


class WaitReason(StrEnum):
    """What an order waits for."""

    QUEUE = "queue"
    PACING = "pacing"
    PERMIT = "permit"
    HALT = "halt"
    SUSPENDED = "suspended"
    BACKOFF = "backoff"
    NODE = "node"
    CHAIN = "chain"
    PRICE = "price"
    POOL = "pool"
    OPERATOR = "operator"


TEXTS = {
    WaitReason.QUEUE: "It is in the inbox of its stage, or a worker has it in hand",
    WaitReason.PACING: "ORDERS_PER_MINUTE orders started in the last minute",
    WaitReason.PERMIT: "CONCURRENCY orders are in venue calls",
    WaitReason.HALT: "An operator halted sends and triggers",
    WaitReason.SUSPENDED: "The log accepts no sends: it is suspended, or not compared yet",
    WaitReason.BACKOFF: "An attempt failed, and the next one has its time",
    WaitReason.NODE: "No node or venue answers",
    WaitReason.CHAIN: "Its transaction was sent, and the chain has not decided",
    WaitReason.PRICE: "The market has not reached its price",
    WaitReason.POOL: "No pool of the token has appeared",
    WaitReason.OPERATOR: "It is parked for an operator",
}

STORED = (
    WaitReason.PACING,
    WaitReason.HALT,
    WaitReason.SUSPENDED,
    WaitReason.BACKOFF,
    WaitReason.NODE,
    WaitReason.CHAIN,
)
"""Reasons that are stored with a delay. Their numbers, from 1, stand in scores: new ones are
appended."""

NUMBERS = {reason: number for number, reason in enumerate(STORED, start=1)}

SHARE = 16
"""A score is whole milliseconds, plus the number of the reason divided by this."""

WITHOUT_STAGE = frozenset({WaitReason.PRICE, WaitReason.POOL, WaitReason.OPERATOR})
"""Reasons of orders that no stage works on."""

DATED = frozenset({WaitReason.PACING, WaitReason.BACKOFF, WaitReason.NODE})
"""Reasons whose due time is when work on the order is expected to continue. For the others it
is only when the stage looks at the order again."""

assert TEXTS.keys() == set(WaitReason), "every reason has its text"
assert len(STORED) < SHARE, "a number fits below a millisecond, exactly"


def split_score(score: float) -> tuple[int, WaitReason]:
    """The due time (ms) and the reason of a score; QUEUE where an earlier build stored none.

    The time of a damaged score, which is not finite, is 0.
    """
    if not math.isfinite(score):
        return 0, WaitReason.QUEUE
    ms = int(score)
    number = round((score - ms) * SHARE)
    return ms, STORED[number - 1] if 0 < number <= len(STORED) else WaitReason.QUEUE
