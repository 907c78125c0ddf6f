"""An order has up to two names: each is looked up, whichever comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.ids import new_order_id
from events.log import AppendResult, AppendStatus, EventLog, Idempotency
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, submitted


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


async def posted(log: EventLog, digest: bytes, *names: tuple[str, str]) -> tuple[str, AppendResult]:
    """The id that an order under these names would have, and what the log says."""
    order_id = new_order_id()
    keys = tuple(log.keys.idempotency(ACCOUNT, kind, name) for kind, name in names)
    idempotency = Idempotency(keys, order_id.encode() + digest)
    [answer] = await log.append(
        [log.build_creation(order_id, ACCOUNT, submitted(), idempotency)[0]]
    )
    return order_id, answer


@pytest.mark.parametrize("used", [("client", "c"), ("key", "k")])
async def test_a_new_name_beside_a_used_one_makes_no_second_order(
    log: EventLog, used: tuple[str, str]
) -> None:
    first, _ = await posted(log, b"one", used)
    for digest in (b"one", b"two"):
        _, again = await posted(log, digest, ("client", "c"), ("key", "k"))
        assert again.status is AppendStatus.DUPLICATE
        assert again.duplicate_of == first.encode() + b"one"
    assert await log.position() == 1


async def test_two_names_of_different_orders_are_ambiguous(log: EventLog) -> None:
    await posted(log, b"one", ("client", "c"))
    await posted(log, b"one", ("key", "k"))
    _, answer = await posted(log, b"one", ("client", "c"), ("key", "k"))
    assert answer.status is AppendStatus.AMBIGUOUS
    assert await log.position() == 2
