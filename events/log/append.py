"""Builds append requests: turns facts about a loaded order into the unit that the log writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from events import streams
from events.hash_chain import EventBatch, new_events
from events.ids import created_ms
from events.log.append_request import AppendRequest, AppendResult, Delivery, Idempotency
from events.log.group_commit import Committer
from events.log.head import EMPTY, OrderHead, encode_head, new_order, next_stage_code
from events.log.outcome_counters import OUTCOME_COUNTERS
from events.log.redis.keys import Keys
from events.order import Order, may_still_land, retry_reason
from events.streams import S, State
from events.telemetry.server_clock import now_us as server_now_us
from events.types import EngineHalted, EngineResumed, Fact, OrderTriggered, TransactionSubmitted

GUARDED_EVENTS = frozenset({TransactionSubmitted, OrderTriggered})
"""Events that are refused while the log is suspended or halted, or after the order expired."""

NEVER_MS = 2**53 - 1
"""The highest exact score of a sorted set; thousands of years from now."""

_SWITCHES = frozenset({EngineHalted, EngineResumed})


class LogAppender:
    """The part of `EventLog` that appends."""

    build: str
    keys: Keys
    heads_kept_ms: int
    _committer: Committer

    def append(
        self, requests: Sequence[AppendRequest], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[AppendResult]]:
        """Appends units and returns their results; see `Committer.append`."""
        return self._committer.append(requests, timeout_s=timeout_s)

    def new_events(self, head: OrderHead, order: S, facts: Sequence[Fact]) -> EventBatch[S]:
        """The events and records of `facts` about a loaded order."""
        now_us = server_now_us()
        return new_events(order, head.hash, facts, time_us=now_us, build=self.build)

    def build_append_of(
        self,
        head: OrderHead,
        order: S,
        facts: Sequence[Fact],
        *,
        delivery: Delivery | None = None,
        wake: bool = True,
        wait_ms: int = 0,
    ) -> tuple[AppendRequest, S]:
        """Returns the unit that appends `facts` to a loaded order, and the order after them."""
        batch = self.new_events(head, order, facts)
        return self.build_append(
            head, order, batch, delivery=delivery, wake=wake, wait_ms=wait_ms
        ), batch.order

    def build_append(
        self,
        head: OrderHead,
        order: S,
        batch: EventBatch[S],
        *,
        delivery: Delivery | None = None,
        wake: bool = True,
        wait_ms: int = 0,
        not_after_ms: int = 0,
        idempotency: Idempotency | None = None,
    ) -> AppendRequest:
        """Returns the unit that writes a batch of events of a loaded order.

        After TransactionSubmitted a transaction may land. The log refuses a unit with this event,
        or with OrderTriggered, which leads to it, when the order has expired by the server's clock
        and while the log is suspended or halted. A delay is cut to the order's expiry.
        """
        before: State = order
        after: State = batch.order
        events, records = batch.events, batch.records
        kinds = {type(event.fact) for event in events}
        sends = not GUARDED_EVENTS.isdisjoint(kinds)
        expires_ms = None
        if type(after) is Order and type(before) is Order:  # only orders expire
            expires_us = after.expires_at_us
            if expires_us is not None:
                if sends:
                    not_after_ms = expires_us // 1000
                if wait_ms and not may_still_land(after):
                    wait_ms = min(wait_ms, max(1, (expires_us - batch.time_us) // 1000 + 1))
                if after.terminal or expires_us != before.expires_at_us:
                    expires_ms = min(-(-expires_us // 1000), NEVER_MS)
            elif before.expires_at_us is not None:
                expires_ms = 0
            if after.terminal:
                idempotency = self._names_of(after)
        owes = next_stage_code(after)
        return AppendRequest(
            order_id=after.id,
            old=head.prefix,
            new=encode_head(after.version, batch.hash, owes, streams.encode(after)),
            owes=owes,
            events=len(events),
            records=records[0] if len(records) == 1 else b"".join(records),
            delivery=delivery,
            wake=wake,
            wait_ms=wait_ms,
            wait_reason=retry_reason(after) if wait_ms and type(after) is Order else None,
            not_after_ms=not_after_ms,
            idempotency=idempotency,
            sends=sends,
            halts=EngineHalted in kinds if not _SWITCHES.isdisjoint(kinds) else None,
            expires_ms=expires_ms,
            note=OUTCOME_COUNTERS.get(type(events[-1].fact)),
            stage=head.owes,
            since_us=order.updated_at_us,
        )

    def _names_of(self, order: Order) -> Idempotency | None:
        """The names of an order whose window starts now that it has ended."""
        if order.client_order_id is None and order.idempotency_key is None:
            return None
        return Idempotency(
            self.keys.names(order.account, order.client_order_id, order.idempotency_key)
        )

    def build_creation(
        self, order_id: str, account: str, fact: Fact, idempotency: Idempotency | None = None
    ) -> tuple[AppendRequest, Order]:
        """Returns the unit that creates an order, and the order.

        The log refuses it (`late`) when the id is old: a creation that is delayed until its head
        has expired could otherwise be written twice.
        """
        order = new_order(order_id, account)
        batch = self.new_events(EMPTY, order, [fact])
        not_after_ms = created_ms(order_id) + self.heads_kept_ms // 2
        request = self.build_append(
            EMPTY, order, batch, not_after_ms=not_after_ms, idempotency=idempotency
        )
        return request, batch.order
