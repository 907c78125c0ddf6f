"""A client's name belongs to its order while that is open, and then for the window, to the ms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.recovery.idempotency_upgrade import keep_names
from events.commands import orders
from events.commands.idempotency import claim_of, names_of
from events.ids import new_order_id
from events.log import LAYOUT, AppendRequest, AppendResult, AppendStatus, EventLog
from events.secret import SecretUrl
from events.types import (
    Fact,
    OrderArmed,
    OrderCancelled,
    OrderExpired,
    OrderFailed,
    OrderSubmitted,
)
from tests.support.http.served import served
from tests.support.log.log_server import LogServer
from tests.support.log.played import ACCOUNT, after_submission
from tests.support.log.projected import opened, projected, projecting

WINDOW_S = 3600
NEVER = -1

ENDS: dict[str, list[Fact]] = {
    "confirmed": after_submission(),
    "failed": [OrderFailed("router", "no-route", 3)],
    "expired": [OrderExpired("watcher", "expires-at-passed", 0)],
    "cancelled": [OrderArmed(7), OrderCancelled("ann")],
}


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    event_log = EventLog(redis_url, build="test", idempotency_window_s=WINDOW_S)
    await event_log.open()
    yield event_log
    await event_log.close()


def limit(client: str | None = None, key: str | None = None) -> OrderSubmitted:
    return OrderSubmitted(
        "limit", "SOL", "USDC", 9, 6, 10**9, 0, target_price="1000", time_in_force="GTC",
        client_order_id=client, idempotency_key=key,
    )  # fmt: skip


def creation(log: EventLog, client: str | None = None, key: str | None = None) -> AppendRequest:
    order_id, fact = new_order_id(), limit(client, key)
    names = names_of(log.keys, ACCOUNT, order_id, fact)
    return log.build_creation(order_id, ACCOUNT, fact, names)[0]


async def asked(log: EventLog, client: str | None = None, key: str | None = None) -> AppendResult:
    return (await log.append([creation(log, client, key)]))[0]


async def placed(log: EventLog, client: str | None = None, key: str | None = None) -> str:
    request = creation(log, client, key)
    assert (await log.append([request]))[0].status is AppendStatus.CREATED
    return request.order_id


async def next_unit(log: EventLog, order_id: str, facts: list[Fact]) -> AppendRequest:
    head = (await log.load([order_id]))[0]
    assert head is not None
    return log.build_append_of(head, head.order, facts)[0]


async def submitted_by(log: EventLog, order_id: str, *facts: Fact) -> int:
    """The server's time of these facts, in ms."""
    [answer] = await log.append([await next_unit(log, order_id, [*facts])])
    assert answer.status is AppendStatus.CREATED
    [stored] = await log.history([answer.position])
    return stored.time_us // 1000


async def expiry_ms(log: EventLog, kind: str, name: str) -> int:
    """When a name expires, Unix time; NEVER; -2 where it is not there."""
    return int(await LogServer(log).call("PEXPIRETIME", log.keys.idempotency(ACCOUNT, kind, name)))


@pytest.mark.parametrize("end", ENDS)
async def test_a_name_never_expires_while_its_order_is_open_and_then_after_the_window_in_ms(
    log: EventLog, end: str
) -> None:
    order_id = await placed(log, "c1", "k1")
    *before, last = ENDS[end]
    for fact in before:
        await submitted_by(log, order_id, fact)
        assert await expiry_ms(log, "client", "c1") == await expiry_ms(log, "key", "k1") == NEVER
    ended_ms = await submitted_by(log, order_id, last)
    for kind, name in (("client", "c1"), ("key", "k1")):
        assert await expiry_ms(log, kind, name) == ended_ms + WINDOW_S * 1000
    again = await asked(log, "c1", "k1")
    assert (again.status, claim_of(again.duplicate_of).order_id) == (
        AppendStatus.DUPLICATE,
        order_id,
    )


async def test_a_watching_order_keeps_its_key_through_all_its_events(
    log: EventLog,
) -> None:
    order_id = await placed(log, "c1")
    await submitted_by(log, order_id, OrderArmed(7))
    for price in ("1001", "1002"):
        head = (await log.load([order_id]))[0]
        assert head is not None
        answer = await orders.amend(log, order_id, head.version, price, None, "ann")
        assert answer.outcome is orders.CommandOutcome.DONE
    assert await expiry_ms(log, "client", "c1") == NEVER


async def test_a_name_added_by_a_replay_expires_with_the_first_name(log: EventLog) -> None:
    order_id = await placed(log, "c1")
    # It is learned while the order is open, twice in one call, …
    repeats = [creation(log, "c1", key) for key in ("k1", "k2", "k2")]
    answers = await log.append(repeats)
    assert {answer.status for answer in answers} == {AppendStatus.DUPLICATE}
    for key in ("k1", "k2"):
        assert await expiry_ms(log, "key", key) == NEVER
        result = await asked(log, None, key)
        assert claim_of(result.duplicate_of).order_id == order_id
    # … in the very call in which it ends, …
    end = await next_unit(log, order_id, [OrderCancelled("ann")])
    [ended, repeated] = await log.append([end, creation(log, "c1", "k3")])
    assert (ended.status, repeated.status) == (AppendStatus.CREATED, AppendStatus.DUPLICATE)
    until_ms = await expiry_ms(log, "client", "c1")
    assert until_ms > 0
    for key in ("k1", "k2", "k3"):
        assert await expiry_ms(log, "key", key) == until_ms
    # … or after its end.
    assert (await asked(log, "c1", "k4")).status is AppendStatus.DUPLICATE
    assert await expiry_ms(log, "key", "k4") == pytest.approx(until_ms, abs=5)
    assert await LogServer(log).call("EXISTS", log.keys.aliases) == 0, "nothing is left of it"


async def test_releasing_a_key_keeps_it_where_another_order_has_taken_it(log: EventLog) -> None:
    first = await placed(log, "c1")
    await LogServer(log).call("DEL", log.keys.idempotency(ACCOUNT, "client", "c1"))
    second = await placed(log, "c1")
    await submitted_by(log, first, OrderCancelled("ann"))
    assert await expiry_ms(log, "client", "c1") == NEVER
    await submitted_by(log, second, OrderCancelled("ann"))
    assert await expiry_ms(log, "client", "c1") > 0


async def test_many_orders_that_end_in_one_call_release_all_their_names(log: EventLog) -> None:
    requests = [creation(log, f"c{n}", f"k#{n}") for n in range(500)]
    assert {answer.status for answer in await log.append(requests)} == {AppendStatus.CREATED}
    assert {
        a.status for a in await log.append([creation(log, f"c{n}", f"x{n}") for n in range(500)])
    } == {AppendStatus.DUPLICATE}
    ends = [await next_unit(log, request.order_id, [OrderCancelled("ann")]) for request in requests]
    assert {answer.status for answer in await log.append(ends)} == {AppendStatus.CREATED}
    keys = [
        log.keys.idempotency(ACCOUNT, kind, f"{prefix}{n}")
        for kind, prefix in (("client", "c"), ("key", "k#"), ("key", "x"))
        for n in range(500)
    ]
    replies = await LogServer(log).pipeline([("PEXPIRETIME", key) for key in keys])
    assert len(set(replies)) == 1
    assert replies[0] > 0


async def test_a_repeated_append_of_an_end_does_not_move_the_window(
    log: EventLog,
) -> None:
    order_id = await placed(log, "c1")
    end = await next_unit(log, order_id, [OrderCancelled("ann")])
    await log.append([end])
    until_ms = await expiry_ms(log, "client", "c1")
    assert (await log.append([end]))[0].status is AppendStatus.EXISTS
    assert await expiry_ms(log, "client", "c1") == until_ms


async def test_the_name_of_an_ended_order_is_free_after_its_window(
    log: EventLog,
) -> None:
    first = await placed(log, "c1")
    await submitted_by(log, first, OrderCancelled("ann"))
    # As if the window were over: no test waits for an hour.
    await LogServer(log).call("PEXPIREAT", log.keys.idempotency(ACCOUNT, "client", "c1"), 1)
    assert await placed(log, "c1") != first


async def test_names_that_an_older_build_lets_expire_are_kept_for_open_orders(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        expiring, expired, trimmed, ended = [await placed(log, f"c{n}", f"k{n}") for n in range(4)]
        await submitted_by(log, ended, OrderCancelled("ann"))
        await submitted_by(log, trimmed, OrderArmed(7))
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        # As the build before has it: names with an expiry, and some that are past it.
        for n, until_ms in ((0, "9999999999999"), (1, "1"), (2, "1")):
            for kind, name in (("client", f"c{n}"), ("key", f"k{n}")):
                key = log.keys.idempotency(ACCOUNT, kind, name)
                await LogServer(log).call("PEXPIREAT", key, until_ms)
        end_ms = await expiry_ms(log, "client", "c3")
        await LogServer(log).call("XTRIM", log.keys.log, "MINID", f"{await log.position()}-0")
        await LogServer(log).call("HSET", log.keys.meta, "layout", "3")
        await LogServer(log).call("HDEL", log.keys.meta, "names")

        reader = EventLog(redis_url, build="a command")
        await reader.open(create=False)  # who takes no orders has nothing to keep
        await reader.close()
        assert await LogServer(log).call("HGET", log.keys.meta, "names") is None
        gateway = EventLog(redis_url, build="gateway")
        gateway.before_joining = lambda: keep_names(gateway, SecretUrl(database_url))
        await gateway.open(create=False)
        assert await LogServer(log).call("HMGET", log.keys.meta, "layout", "names") == [
            LAYOUT.encode(),
            b"kept",
        ]
        for n, order_id in enumerate((expiring, expired, trimmed)):
            for kind, name in (("client", f"c{n}"), ("key", f"k{n}")):
                assert await expiry_ms(log, kind, name) == NEVER
            again = await asked(gateway, f"c{n}", f"k{n}")
            assert again.status is AppendStatus.DUPLICATE
            assert again.duplicate_of == names_value(log, order_id, n)
        assert await expiry_ms(log, "client", "c3") == end_ms
        await gateway.close()


async def test_an_order_that_ends_while_names_are_kept_keeps_its_window(log: EventLog) -> None:
    order_id = await placed(log, "c1")
    await submitted_by(log, order_id, OrderCancelled("ann"))
    until_ms = await expiry_ms(log, "client", "c1")
    key = log.keys.idempotency(ACCOUNT, "client", "c1")
    assert await log.keep_names([(key, order_id, b"")]) == set()
    assert await expiry_ms(log, "client", "c1") == until_ms
    await LogServer(log).call("DEL", key)
    assert await log.keep_names([(key, order_id, order_id.encode())]) == set()
    assert await expiry_ms(log, "client", "c1") == -2


def names_value(log: EventLog, order_id: str, n: int) -> bytes:
    names = names_of(log.keys, ACCOUNT, order_id, limit(f"c{n}", f"k{n}"))
    assert names is not None
    return names.value


async def test_a_gateway_takes_no_order_before_the_names_are_kept(redis_url: str) -> None:
    log = EventLog(redis_url, build="test")
    await log.open()
    await LogServer(log).call("HDEL", log.keys.meta, "names")

    async def unable() -> None:
        raise OSError("no archive")

    gateway = EventLog(redis_url, build="gateway")
    gateway.before_joining = unable
    with pytest.raises(OSError, match="no archive"):
        await gateway.open(create=False)
    assert not gateway.joined
    assert gateway._committer.epoch == b"", "whatever it appends is refused"
    await gateway.close()
    await log.close()


async def test_over_http_a_key_outlives_its_window_while_the_order_is_watching(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway:
        order_id = await gateway.resting(clientOrderId="c1")
        fields = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5, "type": "limit",
                  "targetPrice": "151", "clientOrderId": "c1"}  # fmt: skip
        status, body, _ = await gateway.post(fields)
        assert (status, body["orderId"]) == (200, order_id)
        status, body, _ = await gateway.post(
            {"orders": [fields]}, path="/api/orders/batch", headers={"Idempotency-Key": "b"}
        )
        assert body["results"][0]["orderId"] == order_id
        for kind, name in (("client", "c1"), ("key", "b#0")):
            assert await expiry_ms(gateway.log, kind, name) == NEVER
        status, _ = await gateway.ask("DELETE", f"/api/orders/{order_id}")
        assert status == 200
        head = (await gateway.log.load([order_id]))[0]
        assert head is not None
        [stored] = await gateway.log.history(head.positions[-1:])
        for kind, name in (("client", "c1"), ("key", "b#0")):
            at_ms = await expiry_ms(gateway.log, kind, name)
            assert at_ms == stored.time_us // 1000 + 86_400_000, "a day, in milliseconds"
