"""The heads and idempotency keys that the log server keeps beside the events, from the orders.
Pure.
"""

from __future__ import annotations

from engine.recovery.reconcile import Lives
from events.commands.idempotency import digest_of, names_of
from events.log import EventLog
from events.recovery.log_rebuild import Claim, RestoredHead, RestoredIdempotencyKey


def names_in(log: EventLog, lives: Lives) -> list[RestoredIdempotencyKey]:
    """The idempotency keys of submissions: of open orders, and of orders that ended within the
    window.
    """
    names: dict[str, RestoredIdempotencyKey] = {}
    for asked in lives.submitted.values():  # of two orders with one key the later has it
        keys = names_of(log.keys, asked.account, asked.order_id, asked.fact)
        until_ms = None if asked.ended_us is None else asked.ended_us // 1000 + log.window_ms
        names |= (
            {key: RestoredIdempotencyKey(key, keys.value, until_ms) for key in keys.keys}
            if keys
            else {}
        )
    return list(names.values())


def claims_in(log: EventLog, lives: Lives) -> dict[bytes, Claim]:
    """Order id -> the value that a key of the order must have."""
    claims = {}
    for asked in lives.submitted.values():
        until_ms = None if asked.ended_us is None else asked.ended_us // 1000 + log.window_ms
        claims[asked.order_id.encode()] = Claim(digest_of(asked.fact), until_ms)
    return claims


def known_in(lives: Lives, *, archived: int, heads_kept_ms: int, now_us: int) -> list[RestoredHead]:
    """The heads to be written: of open orders, and of those that ended recently."""
    known = [order_history.known() for order_history in lives.open.values()]
    for history in lives.ended.values():
        kept_ms = None
        if history.positions[-1] <= archived:
            kept_ms = heads_kept_ms - (now_us - history.changed_us) // 1000
            if kept_ms <= 0:
                continue
        known.append(history.known()._replace(kept_ms=kept_ms))
    return known
