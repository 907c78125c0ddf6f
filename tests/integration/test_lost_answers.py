"""A command whose answer was lost after the write, and behind which another writer followed.

The network loses the answer of the append; the log itself has the event. The retry then meets a
conflict, and the command has to recognise its own event in the history, whatever it is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from events.commands import api_keys, engine_switch, execute, orders, parked
from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.log import AppendStatus, EventLog, OrderHead, Stored
from events.types import (
    EngineHalted,
    EngineResumed,
    Fact,
    KeyCreated,
    KeyRotated,
    OrderAmended,
    OrderArmed,
    OrderParked,
    OrderRequeued,
    OrderSubmitted,
    OrderTriggered,
    RoutingStarted,
)
from tests.support.log.opened import opened_log
from tests.support.log.played import Play
from tests.support.processes.proxied import Proxy, proxied
from tests.support.waits import HANG_S, until

LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="151", time_in_force="GTC"
)
PARKED = OrderParked("router", "bug", "engine")
OTHER_KEY = KeyCreated("other", "them", ("read",), b"\1", "", 0, "bob")


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url, build="near") as log:
        yield log


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with proxied(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventLog]:
    """The same log, behind a network that loses answers."""
    monkeypatch.setattr(execute, "APPEND_S", HANG_S)
    opened = EventLog(proxy.url, build="far")
    await opened.open()
    yield opened
    await opened.close()


async def _order(log: EventLog, fact: OrderSubmitted | None, *facts: Fact) -> str:
    play = Play(log)
    [order_id] = await play.create(fact=fact)
    for item in facts:
        await play.append([order_id], item)
    return order_id


def _history(log: EventLog) -> parked.History:
    async def read(order_id: str) -> list[Stored]:
        return await log.history((await _head(log, order_id)).positions)

    return read


async def _head(log: EventLog, stream_id: str) -> OrderHead:
    [head] = await log.load([stream_id])
    assert head is not None
    return head


class Case(NamedTuple):
    """One command, and what another writer does behind it."""

    prepare: Callable[[EventLog], Awaitable[str]]
    """Brings the stream to where the command is possible; its id."""
    command: Callable[[EventLog, str], Awaitable[Any]]
    follows: Fact
    own: type[Fact]
    """What the command writes, once."""


def _fixed(stream_id: str) -> Callable[[EventLog], Awaitable[str]]:
    async def prepare(_: EventLog) -> str:
        return stream_id

    return prepare


async def _key_there(log: EventLog) -> str:
    await api_keys.create(log, "them", ["read"], "", 0, "bob")
    return KEYS_ID


async def _halted(log: EventLog) -> str:
    await engine_switch.halt(log, "odd", "bob")
    return ENGINE_STREAM_ID


async def _rotate(log: EventLog, _: str) -> api_keys.IssuedKey:
    [key] = (await api_keys.listed(log))[:1]
    return await api_keys.rotate(log, key.id, 0, "ann")


def _settle(log: EventLog, order_id: str) -> Awaitable[parked.Settled]:
    async def decide(_: object) -> list[Fact]:
        return [OrderRequeued("settled", "ann"), OrderRequeued("in two events", "ann")]

    return parked.settle(log, _history(log), order_id, decide)


def _replay(log: EventLog, order_id: str) -> Awaitable[Any]:
    return parked.replay(log, _history(log), order_id, "fixed", "ann")


CASES = {
    "amend": Case(
        lambda log: _order(log, LIMIT, OrderArmed(7)),
        lambda log, order_id: orders.amend(log, order_id, 2, "900", None, "ann"),
        OrderTriggered("tick", "raydium", "r", 8, "151.2"),
        OrderAmended,
    ),
    "halt of an engine that never was": Case(
        _fixed(ENGINE_STREAM_ID),
        lambda log, _: engine_switch.halt(log, "odd", "ann"),
        EngineResumed("fine", "bob"),
        EngineHalted,
    ),
    "resume": Case(
        _halted,
        lambda log, _: engine_switch.resume(log, "ann", "fine"),
        EngineHalted("odd again", "bob"),
        EngineResumed,
    ),
    "first key": Case(
        _fixed(KEYS_ID),
        lambda log, _: api_keys.create(log, "me", ["read"], "", 0, "ann"),
        OTHER_KEY,
        KeyCreated,
    ),
    "rotation": Case(_key_there, _rotate, OTHER_KEY, KeyRotated),
    "replay": Case(lambda log: _order(log, None, PARKED), _replay, RoutingStarted(), OrderRequeued),
    "settlement of two events": Case(
        lambda log: _order(log, None, PARKED), _settle, RoutingStarted(), OrderRequeued
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_command_whose_answer_was_lost_is_done_once_though_another_writer_followed(
    log: EventLog, far: EventLog, proxy: Proxy, name: str
) -> None:
    case = CASES[name]
    stream_id = await case.prepare(log)
    [before] = await log.load([stream_id])
    proxy.mode = "drop-writes"
    running = asyncio.ensure_future(case.command(far, stream_id))
    head = await _written_behind(log, stream_id, before)
    request, _ = log.build_append_of(head, head.state, [case.follows])
    assert (await log.append([request]))[0].status is AppendStatus.CREATED
    proxy.cut("pass")
    answer = await running
    assert getattr(answer, "outcome", orders.CommandOutcome.DONE).value == "done"
    after = await _head(log, stream_id)
    facts = [stored.record.event().fact for stored in await log.history(after.positions)]
    at = before.version if before is not None else 0
    assert [type(fact) for fact in facts[at:]] == [case.own] * (len(facts) - at - 1) + [
        type(case.follows)
    ]
    assert len(facts) - at - 1 == head.version - at


async def _written_behind(log: EventLog, stream_id: str, before: OrderHead | None) -> OrderHead:
    version = before.version if before is not None else 0

    async def reached() -> bool:
        [head] = await log.load([stream_id])
        return head is not None and head.version > version

    await until(reached)
    return await _head(log, stream_id)


async def test_a_command_that_was_not_appended_is_not_reported_as_done(
    log: EventLog, far: EventLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writer is first: its event does not prove this append."""
    order_id = await _order(log, LIMIT, OrderArmed(7))
    loaded = far.load

    async def overtaken(order_ids: Any) -> Any:
        monkeypatch.setattr(far, "load", loaded)
        heads = await loaded(order_ids)
        head = await _head(log, order_id)
        request, _ = log.build_append_of(
            head, head.order, [OrderTriggered("tick", "raydium", "r", 8, "151.2")]
        )
        assert (await log.append([request]))[0].status is AppendStatus.CREATED
        return heads

    monkeypatch.setattr(far, "load", overtaken)
    answer = await orders.amend(far, order_id, 2, "900", None, "ann")
    assert answer.outcome is orders.CommandOutcome.TOO_LATE


async def test_a_key_revoked_right_after_its_creation_is_returned_to_its_creator(
    log: EventLog, far: EventLog, proxy: Proxy
) -> None:
    """The answer is lost, and the key is revoked at once: the command still reports the key."""
    proxy.mode = "drop-writes"
    running = asyncio.ensure_future(api_keys.create(far, "me", ["read"], "", 0, "ann"))
    await _written_behind(log, KEYS_ID, None)
    [key] = await api_keys.listed(log)
    await api_keys.revoke(log, key.id, "at once", "bob")
    proxy.cut("pass")
    assert (await running).key.id == key.id
