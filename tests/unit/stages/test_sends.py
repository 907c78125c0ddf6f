"""Sends and rebroadcasts: all transactions, with the recorded bytes, which no log line shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
import structlog
from msgspec.structs import replace

from events.order import Order, Transaction
from events.secret import SecretBytes
from events.types import TransactionBuilt, TransactionSubmitted
from stages import confirmer, submitter
from stages.runtime.stage import Later, VenueRefusal
from stages.venues import Built, Outcome
from tests.support.histories import SENT, market
from tests.support.specification import given

FAULTS = [VenueRefusal("venue-unavailable", "busy"), OSError("reset"), TimeoutError()]


def sent(number: int) -> Order:
    """An order whose transaction was recorded as sent, long ago."""
    facts = market(), *SENT[:2], TransactionBuilt(1, f"sig-{number}", 10, raw_of(number))
    order = given(*facts, TransactionSubmitted(1, f"sig-{number}")).state
    named: Order = replace(order, id=f"id-{number}")
    return named


def raw_of(number: int) -> SecretBytes:
    return SecretBytes(b"signed transaction of order %d" % number)


def disguises(number: int) -> list[str]:
    """Every form in which a careless line might have the bytes."""
    raw = raw_of(number).reveal()
    return [raw.decode(), raw.hex(), base64.b64encode(raw).decode()]


class Node:
    """A chain that takes, or refuses, what it is sent, and tells one outcome of all."""

    first_wait_ms = rebroadcast_ms = 1

    def __init__(self, outcome: Outcome, fault: Exception | None = None) -> None:
        self.taken: list[SecretBytes] = []
        self._outcome = outcome
        self._fault = fault

    def build(self, order: Order) -> Built:
        raise NotImplementedError(order.id)

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        if self._fault is not None:
            raise self._fault
        self.taken += transactions

    def outcomes(self, asked: Sequence[Transaction]) -> list[Outcome]:
        return [self._outcome] * len(asked)


async def asked(node: Node, orders: Sequence[Order]) -> list[Outcome]:
    """What the confirmer learns of orders."""
    stage = confirmer.stage(node, attempts_max=3, rebroadcast_ms=0)
    return [await item.awaitable if isinstance(item, Later) else item for item in stage.ask(orders)]


async def test_all_transactions_of_one_append_are_sent() -> None:
    node, orders = Node(Outcome("absent")), [sent(n) for n in range(3)]
    after = submitter.stage(node).after
    assert after is not None
    await after(orders)
    assert node.taken == [raw_of(n) for n in range(3)]


async def test_each_undecided_transaction_is_rebroadcast_with_its_recorded_bytes() -> None:
    for state in ("absent", "unknown"):
        node = Node(Outcome(state))
        await asked(node, [sent(n) for n in range(3)])
        assert node.taken == [raw_of(n) for n in range(3)]


async def test_a_transaction_with_an_outcome_is_not_sent_again() -> None:
    for state in ("landed", "failed"):
        node = Node(Outcome(state))
        assert await asked(node, [sent(1)]) == [Outcome(state)]
        assert node.taken == []


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_a_send_that_fails_shows_no_signed_bytes(fault: Exception) -> None:
    orders = [sent(n) for n in range(2)]
    after = submitter.stage(Node(Outcome("absent"), fault)).after
    assert after is not None
    with structlog.testing.capture_logs() as lines:
        await after(orders)
        await asked(Node(Outcome("absent"), fault), orders)
    assert len(lines) == 3, "one of the send, and one of each that was sent again"
    assert [text for n in range(2) for text in disguises(n) if text in repr(lines)] == []
