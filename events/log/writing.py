"""Writing: from what is said of a loaded order to the unit that the log takes or refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from events import order as orders
from events.ids import created_ms
from events.log.commit import Committer
from events.log.head import EMPTY, Head, encode_head, new_order, owes_number
from events.log.redis.keys import Keys
from events.log.tally import NOTES
from events.log.units import Appended, Idempotency, Share, Unit
from events.order import Order, may_still_land
from events.order.hash_chain import Said, say
from events.types import EngineHalted, EngineResumed, Fact, OrderTriggered, TransactionSubmitted

CROSSING = frozenset({TransactionSubmitted, OrderTriggered})
"""What no order may do while the log is suspended or halted, or once it has expired."""

NEVER_MS = 2**53 - 1
"""The highest score of a sorted set that is exact; thousands of years from now."""

_SWITCHES = frozenset({EngineHalted, EngineResumed})


class Writing:
    """The part of `EventLog` that appends."""

    build: str
    keys: Keys
    heads_kept_ms: int
    _committer: Committer

    def append(
        self, units: Sequence[Unit], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[Appended]]:
        """See `Committer.append`."""
        return self._committer.append(units, timeout_s=timeout_s)

    def say(self, head: Head, order: Order, facts: Sequence[Fact]) -> Said:
        """The records of `facts` about a loaded order: what a unit is made of."""
        now_us = time.time_ns() // 1000
        return say(order, head.hash, facts, time_us=now_us, build=self.build)

    def unit(
        self,
        head: Head,
        order: Order,
        facts: Sequence[Fact],
        *,
        share: Share | None = None,
        wake: bool = True,
        wait_ms: int = 0,
    ) -> tuple[Unit, Order]:
        """The unit that says `facts` of a loaded order, and the order after them."""
        said = self.say(head, order, facts)
        return self.unit_of(head, order, said, share=share, wake=wake, wait_ms=wait_ms), said.order

    def unit_of(
        self,
        head: Head,
        order: Order,
        said: Said,
        *,
        share: Share | None = None,
        wake: bool = True,
        wait_ms: int = 0,
        not_after_ms: int = 0,
        idempotency: Idempotency | None = None,
    ) -> Unit:
        """The unit that writes what was said of a loaded order.

        From TransactionSubmitted on a transaction may land: such a unit is refused by the log
        itself when the order has expired on the server's clock, or while the log is suspended or
        halted; and so is OrderTriggered, the first step there. No wait goes past the expiry.
        """
        after, events, records = said.order, said.events, said.records
        kinds = {type(event.fact) for event in events}
        sends = not CROSSING.isdisjoint(kinds)
        expires_ms = None
        expires_us = after.expires_at_us
        if expires_us is not None:
            if sends:
                not_after_ms = expires_us // 1000
            if wait_ms and not may_still_land(after):
                wait_ms = min(wait_ms, max(1, (expires_us - said.time_us) // 1000 + 1))
            if after.terminal or expires_us != order.expires_at_us:
                expires_ms = min(-(-expires_us // 1000), NEVER_MS)
        elif order.expires_at_us is not None:
            expires_ms = 0
        if after.terminal:
            idempotency = self._names_of(after)
        owes = owes_number(after)
        return Unit(
            after.id,
            head.prefix,
            encode_head(after.version, said.hash, owes, orders.encode(after)),
            owes,
            len(events),
            records[0] if len(records) == 1 else b"".join(records),
            share,
            wake,
            wait_ms,
            not_after_ms,
            idempotency,
            sends,
            EngineHalted in kinds if not _SWITCHES.isdisjoint(kinds) else None,
            expires_ms,
            NOTES.get(type(events[-1].fact)),
            head.owes,
            order.updated_at_us,
        )

    def _names_of(self, order: Order) -> Idempotency | None:
        """The names whose window begins with the end of the order."""
        if order.client_order_id is None and order.idempotency_key is None:
            return None
        return Idempotency(
            self.keys.names(order.account, order.client_order_id, order.idempotency_key)
        )

    def creation(
        self, order_id: str, account: str, fact: Fact, idempotency: Idempotency | None = None
    ) -> tuple[Unit, Order]:
        """The unit that creates an order. It is refused (`late`) once its id is old: a creation

        that was delayed past the life of its head could otherwise be carried out twice.
        """
        order = new_order(order_id, account)
        said = self.say(EMPTY, order, [fact])
        not_after_ms = created_ms(order_id) + self.heads_kept_ms // 2
        unit = self.unit_of(EMPTY, order, said, not_after_ms=not_after_ms, idempotency=idempotency)
        return unit, said.order
