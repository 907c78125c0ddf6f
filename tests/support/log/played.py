"""Plays the stages: appends events by hand, for tests of readers of the log."""

from __future__ import annotations

import os
from collections.abc import Sequence

from events.ids import new_order_id
from events.log import AppendResult, AppendStatus, EventLog, OrderHead
from events.log.head import head_of
from events.order import Order
from events.secret import SecretBytes
from events.types import (
    Fact,
    OrderConfirmed,
    OrderFailed,
    OrderRouted,
    OrderSubmitted,
    Quote,
    RoutingStarted,
    TransactionBuilt,
    TransactionSubmitted,
)
from tests.support.waits import until

ACCOUNT = "main"
WRITTEN = (AppendStatus.CREATED, AppendStatus.EXISTS)  # the latter where an answer was lost


def submitted(client_order_id: str | None = None, to: str = "USDC") -> OrderSubmitted:
    """1.5 SOL into another token."""
    return OrderSubmitted(
        "market", "SOL", to, 9, 6, 1_500_000_000, 50, client_order_id=client_order_id
    )


def routed(amount_out: int = 149_000_000) -> OrderRouted:
    """Two quotes, of which Raydium's wins."""
    quotes = tuple(
        Quote(dex, f"{dex}-pool", 1_500_000_000, out, 4_500_000, 12_345)
        for dex, out in (("raydium", amount_out), ("meteora", amount_out - 3_000_000))
    )
    least = amount_out * 9950 // 10_000
    return OrderRouted("raydium", "raydium-pool", amount_out, least, "99.3333333333", quotes, 9, 6)


def life(signature: str = "5" * 88) -> list[Fact]:
    """All six events of an order that is confirmed at its first attempt."""
    return [submitted(), *after_submission(signature)]


def after_submission(signature: str = "5" * 88) -> list[Fact]:
    """What follows `OrderSubmitted`."""
    return [
        RoutingStarted(),
        routed(),
        TransactionBuilt(1, signature, 12_495, SecretBytes(os.urandom(180))),
        TransactionSubmitted(1, signature),
        OrderConfirmed(signature, 148_990_000, "99.3266666666", 6, 12_350),
    ]


def failed(reason: str = "no-route") -> OrderFailed:
    """The end of an order that could not be routed."""
    return OrderFailed("router", reason, 3)


class Play:
    """One log's stages: remembers the head of each order, so that nothing has to be loaded."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._heads: dict[str, tuple[OrderHead, Order]] = {}

    async def create(self, count: int = 1, *, fact: OrderSubmitted | None = None) -> list[str]:
        """New orders, in one append; their ids."""
        ids = [new_order_id() for _ in range(count)]
        units = []
        for order_id in ids:
            request, order = self.log.build_creation(order_id, ACCOUNT, fact or submitted())
            units.append(request)
            self._heads[order_id] = (head_of(request.new), order)
        for answer in await self.log.append(units):
            assert answer.status in WRITTEN, answer
        return ids

    async def append(self, order_ids: Sequence[str], *facts: Fact) -> int:
        """The same facts of each order, in one append; the last position."""
        units = []
        for order_id in order_ids:
            head, order = self._heads[order_id]
            request, order = self.log.build_append_of(head, order, facts)
            units.append(request)
            self._heads[order_id] = (head_of(request.new), order)
        answers: list[AppendResult] = []

        async def verified() -> bool:
            """False after a restart of the server, until its projector has looked at it."""
            answers[:] = await self.log.append(units)
            return any(answer.status is not AppendStatus.UNVERIFIED for answer in answers)

        await until(verified)
        assert all(answer.status in WRITTEN for answer in answers), answers
        return max(answer.position for answer in answers)

    async def live(self, count: int = 1, *, step_by_step: bool = True) -> list[str]:
        """Orders from the first event to `OrderConfirmed`."""
        ids = await self.create(count)
        if step_by_step:
            for fact in after_submission():
                await self.append(ids, fact)
        else:
            await self.append(ids, *after_submission())
        return ids
