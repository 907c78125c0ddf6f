"""Writing: from what is said of a loaded order to the unit that the log takes or refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from events import order as orders
from events.chain import say
from events.ids import created_ms
from events.log.commit import Committer
from events.log.head import EMPTY, Head, encode_head, new_order, owes_number
from events.log.tally import NOTES
from events.log.units import Appended, Idempotency, Share, Unit
from events.order import Order, may_still_land
from events.types import EngineHalted, EngineResumed, Fact, OrderTriggered, TransactionSubmitted

CROSSING = frozenset({TransactionSubmitted, OrderTriggered})
"""What no order may do while the log is suspended or halted, or once it has expired."""

NEVER_MS = 2**53 - 1
"""The highest score of a sorted set that is exact; thousands of years from now."""

_SWITCHES = frozenset({EngineHalted, EngineResumed})


class Writing:
    """The part of `EventLog` that appends."""

    build: str
    heads_kept_ms: int
    _committer: Committer

    def append(
        self, units: Sequence[Unit], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[Appended]]:
        """See `Committer.append`."""
        return self._committer.append(units, timeout_s=timeout_s)

    def unit(
        self,
        head: Head,
        order: Order,
        facts: Sequence[Fact],
        *,
        share: Share | None = None,
        wake: bool = True,
        wait_ms: int = 0,
        not_after_ms: int = 0,
        idempotency: Idempotency | None = None,
    ) -> tuple[Unit, Order]:
        """The unit that says `facts` of a loaded order, and the order after them.

        From TransactionSubmitted on a transaction may land: such a unit is refused by the log
        itself when the order has expired on the server's clock, or while the log is suspended or
        halted; and so is OrderTriggered, the first step there. No wait goes past the expiry.
        """
        kinds = {type(fact) for fact in facts}
        sends = not CROSSING.isdisjoint(kinds)
        if sends and order.expires_at_us is not None:
            not_after_ms = order.expires_at_us // 1000
        now_us = time.time_ns() // 1000
        said = say(order, head.hash, facts, time_us=now_us, build=self.build)
        after = said.order
        expires_ms = None
        if after.expires_at_us is not None:
            if wait_ms and not may_still_land(after):
                wait_ms = min(wait_ms, max(1, (after.expires_at_us - now_us) // 1000 + 1))
            if after.terminal or after.expires_at_us != order.expires_at_us:
                expires_ms = min(-(-after.expires_at_us // 1000), NEVER_MS)
        elif order.expires_at_us is not None:
            expires_ms = 0
        owes = owes_number(after)
        new = encode_head(after.version, said.hash, owes, orders.encode(after))
        records = said.records[0] if len(facts) == 1 else b"".join(said.records)
        unit = Unit(
            after.id, head.prefix, new, owes, len(facts), records,
            share, wake, wait_ms, not_after_ms, idempotency, sends,
            EngineHalted in kinds if not _SWITCHES.isdisjoint(kinds) else None, expires_ms,
            NOTES.get(type(facts[-1])), head.owes, order.updated_at_us,
        )  # fmt: skip
        return unit, after

    def creation(
        self, order_id: str, account: str, fact: Fact, idempotency: Idempotency | None = None
    ) -> tuple[Unit, Order]:
        """The unit that creates an order. It is refused (`late`) once its id is old: a creation

        that was delayed past the life of its head could otherwise be carried out twice.
        """
        return self.unit(
            EMPTY,
            new_order(order_id, account),
            [fact],
            not_after_ms=created_ms(order_id) + self.heads_kept_ms // 2,
            idempotency=idempotency,
        )
