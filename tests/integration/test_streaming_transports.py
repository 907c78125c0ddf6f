"""What holds for WebSockets holds for event streams: isolation, keys that end, seams, filters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from events.commands import api_keys
from events.commands.api_keys import SCOPES
from events.log import EventLog
from gateway.backends import health
from gateway.middleware.auth import Authenticator
from gateway.streaming.transport import Socket
from tests.support.http.permitted import LIMIT, UNKNOWN
from tests.support.http.served import GOOD, Served, served
from tests.support.http.streamed import DOORS, SSE, WEBSOCKET, Door, Refused
from tests.support.log.played import after_submission
from tests.support.waits import HANG_S

pytestmark = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)


async def key(gateway: Served, account: str, *scopes: str, ends_us: int = 0) -> dict[str, str]:
    issued = await api_keys.create(gateway.log, account, scopes or SCOPES[:3], "", ends_us, "ann")
    return {"Authorization": f"Bearer {issued.text.reveal()}"}


def key_id(headers: dict[str, str]) -> str:
    return headers["Authorization"].split("_")[1]


async def submit(gateway: Served, headers: dict[str, str], **fields: Any) -> str:
    status, body, _ = await gateway.post(GOOD | fields, headers=headers)
    assert status == 202, body
    return str(body["orderId"])


# -- isolation -------------------------------------------------------------------------------------


async def test_a_feed_has_the_orders_of_its_account_only_however_it_is_asked(
    redis_url: str, door: Door
) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        mine, theirs = await key(gateway, "me"), await key(gateway, "them")
        hidden = [await submit(gateway, theirs)]
        shown = [await submit(gateway, mine)]
        for query in (
            "after=0", "after=0&events=OrderSubmitted", "after=0&status=pending",
            f"after=0&orderId={hidden[0]},{shown[0]}",
        ):  # fmt: skip
            async with door.feed(gateway, query, mine) as reader:
                frames = await reader.frames(1)
                hidden.append(await submit(gateway, theirs))  # live, before one of its own
                if "orderId" not in query:
                    shown.append(await submit(gateway, mine))
                    frames += await reader.frames(len(shown) - 1)
            assert {frame["orderId"] for frame in frames} <= set(shown), query
        # Resumed behind its first order, whatever stands between.
        cursor = frames[0]["cursor"]
        async with door.feed(gateway, f"after={cursor}", mine) as reader:
            rest = await reader.frames(len(shown) - 1)
        assert [frame["orderId"] for frame in rest] == shown[1:]
        admin = await key(gateway, "boss", "admin")
        async with door.feed(gateway, "after=0&events=OrderSubmitted", admin) as reader:
            every = await reader.frames(len(shown) + len(hidden))
        assert {frame["orderId"] for frame in every} == {*shown, *hidden}


async def test_key_events_are_delivered_to_admins_alone(redis_url: str, door: Door) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        mine, admin = await key(gateway, "me"), await key(gateway, "boss", "admin")
        await gateway.ask("POST", "/api/admin/halt", json={"reason": "odd"}, headers=admin)
        async with door.feed(gateway, "after=0", mine) as reader:
            assert [f["event"] for f in await reader.frames(1)] == ["EngineHalted"]
        async with door.feed(gateway, "after=0", admin) as reader:
            names = [frame["event"] for frame in await reader.frames(3)]
        assert names == ["KeyCreated", "KeyCreated", "EngineHalted"]


async def test_an_order_of_another_account_is_answered_like_an_unknown_order(
    redis_url: str, door: Door
) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        mine, theirs = await key(gateway, "me"), await key(gateway, "them")
        hidden = await submit(gateway, theirs)
        told = []
        for order_id in (hidden, UNKNOWN):
            try:
                async with door.order(gateway, order_id, mine) as reader:
                    frames = await reader.frames(9)
                    told.append((str(frames).replace(order_id, "ID"), reader.code()))
            except Refused as refused:
                told.append(("", refused.status))
        assert told[0] == told[1]
        assert told[0][1] == (4404 if door is WEBSOCKET else 404)
        async with door.order(gateway, hidden, theirs) as reader:
            assert (await reader.frames(1))[0]["orderId"] == hidden


# -- keys that end ---------------------------------------------------------------------------------


async def _revoked(gateway: Served, headers: dict[str, str]) -> None:
    await api_keys.revoke(gateway.log, key_id(headers), "left", "ann")


async def _rotated(gateway: Served, headers: dict[str, str]) -> None:
    await api_keys.rotate(gateway.log, key_id(headers), 0, "ann")


async def _expired(gateway: Served, headers: dict[str, str]) -> None:
    """It is later now than the key's end."""


ENDS: dict[str, Callable[[Served, dict[str, str]], Awaitable[None]]] = {
    "revoked": _revoked, "rotated": _rotated, "expired": _expired,
}  # fmt: skip


@pytest.mark.parametrize("of", ["feed", "order"])
@pytest.mark.parametrize("end", ENDS)
async def test_an_open_stream_ends_with_its_key_and_others_continue(
    redis_url: str, door: Door, end: str, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later_us = 0
    monkeypatch.setattr(
        "gateway.middleware.auth.server_now_us", lambda: time.time_ns() // 1000 + later_us
    )
    async with served(redis_url, keys_required=True) as gateway:
        ends_us = time.time_ns() // 1000 + 3_600_000_000
        headers = await key(gateway, "me", ends_us=ends_us if end == "expired" else 0)
        other = await key(gateway, "me")
        order_id = await submit(gateway, headers, **LIMIT)

        def opened(headers: dict[str, str]) -> Any:
            if of == "feed":
                return door.feed(gateway, "after=0", headers)
            return door.order(gateway, order_id, headers)

        async with opened(headers) as reader, opened(other) as untouched:
            for stream in (reader, untouched):
                [frame] = await stream.frames(1)
                assert (frame["event"], frame["orderId"]) == ("OrderSubmitted", order_id), frame
            await ENDS[end](gateway, headers)
            if end == "expired":
                later_us = 3_601_000_000
            assert await reader.closed() == 4401
            await gateway.append(order_id, *after_submission()[:1])
            assert (await untouched.frames(1))[0]["event"] == "RoutingStarted"
        with pytest.raises(Refused) as refused:
            async with opened(headers):
                pass
        assert refused.value.status == 401


async def test_the_old_secret_of_a_rotated_key_is_good_for_its_grace_and_no_longer(
    redis_url: str, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    later_us = 0
    monkeypatch.setattr(
        "gateway.middleware.auth.server_now_us", lambda: time.time_ns() // 1000 + later_us
    )
    async with served(redis_url, keys_required=True) as gateway:
        headers = await key(gateway, "me")
        await api_keys.rotate(gateway.log, key_id(headers), 600, "ann")
        async with door.feed(gateway, "after=0", headers) as reader:
            await submit(gateway, headers)
            assert await reader.frames(1)
            later_us = 601_000_000
            assert await reader.closed() == 4401


async def test_a_valid_key_stays_valid_while_the_log_does_not_answer(
    redis_url: str, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage does not revoke keys: streams stay open."""
    async with served(redis_url, keys_required=True, heartbeat_ms=50) as gateway:
        headers = await key(gateway, "me")
        looks = 0
        look = Authenticator._look

        async def failing(self: Authenticator) -> None:
            nonlocal looks
            looks += 1
            with monkeypatch.context() as patched:
                patched.setattr(api_keys, "listed", _silent)
                await look(self)

        async with door.feed(gateway, "after=0", headers) as reader:
            monkeypatch.setattr(Authenticator, "_look", failing)
            while looks < 2:
                assert await reader.next() is not None
            await submit(gateway, headers)
            assert await reader.frames(1)


async def _silent(_: EventLog) -> tuple[()]:
    raise TimeoutError


# -- places that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "code"), [("100", "ahead-of-log"), ("e7.p0.1", "epoch-changed")])
async def test_a_position_beyond_the_log_is_refused(
    redis_url: str, door: Door, after: str, code: str
) -> None:
    async with served(redis_url) as gateway:
        await gateway.accepted()
        async with door.feed(gateway, f"after={after}") as reader:
            [notice] = await reader.frames(1)
            assert (notice["code"], notice["recovered"]) == (code, False)
            order_id = await gateway.accepted()
            assert (await reader.frames(1))[0]["orderId"] == order_id


async def test_a_position_before_the_oldest_event_is_answered_with_a_notice(
    redis_url: str, door: Door
) -> None:
    async with served(redis_url) as gateway:
        await gateway.accepted()
        await gateway.accepted()
        async with redis.asyncio.from_url(redis_url) as client:
            await client.xtrim(gateway.log.keys.log, minid="2-0", approximate=False)
        async with door.feed(gateway, "after=0") as reader:
            notice, frame = await reader.frames(2)
        assert (notice["code"], notice["recovered"]) == ("events-lost", False)
        assert frame["position"] == 2


@pytest.mark.parametrize("after", ["x", "-1", "e1.p7.0"])
async def test_a_malformed_cursor_is_refused(redis_url: str, door: Door, after: str) -> None:
    async with served(redis_url) as gateway:
        with pytest.raises(Refused) as refused:
            async with door.feed(gateway, f"after={after}"):
                pass
        assert refused.value.status == 400


# -- a log that lost its end -----------------------------------------------------------------------


async def restored_empty(gateway: Served, redis_url: str) -> None:
    """The log's server comes back from a backup that is older than all orders."""
    async with redis.asyncio.from_url(redis_url) as client:
        await client.flushdb()
    await gateway.log.open()


def remembering(monkeypatch: pytest.MonkeyPatch, held: set[int]) -> list[Socket]:
    """The connections as they are opened; those in `held` take nothing."""
    opened: list[Socket] = []
    init, backlog = Socket.__init__, Socket.backlog

    def remember(self: Socket, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        opened.append(self)

    monkeypatch.setattr(Socket, "__init__", remember)
    monkeypatch.setattr(
        Socket, "backlog", lambda self: 10**9 if id(self) in held else backlog(self)
    )
    return opened


async def test_every_subscriber_gets_a_notice_when_the_log_lost_its_end(
    redis_url: str, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is live, who still catches up, and who follows one order."""
    held: set[int] = set()
    opened = remembering(monkeypatch, held)
    async with served(redis_url, slow_s=3600.0, heartbeat_ms=100) as gateway:
        order_id = await gateway.accepted()
        async with (
            door.feed(gateway, "after=0") as slow,
            door.feed(gateway, "after=0") as live,
            door.order(gateway, order_id) as follower,
        ):
            for reader in (slow, live, follower):
                assert (await reader.frames(1))[0]["orderId"] == order_id
            held.add(id(opened[0]))
            await gateway.accepted()
            assert (await live.frames(1))[0]["position"] == 2
            await restored_empty(gateway, redis_url)
            for name, reader in (("live", live), ("slow", slow), ("follower", follower)):
                [notice] = await reader.frames(1)
                assert (notice["event"], notice["code"], notice["recovered"]) == (
                    "notice", "log-regressed", False,
                ), name  # fmt: skip
            held.clear()
            order_id = await gateway.accepted()
            for reader in (live, slow):
                assert (await reader.frames(1))[0]["orderId"] == order_id


async def test_followers_are_served_after_the_log_was_missing_for_a_moment(
    redis_url: str, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a heartbeat sees that it is missing: the health check looks before and after."""
    monkeypatch.setattr(health, "WATCH_S", 3600.0)
    async with served(redis_url, heartbeat_ms=50) as gateway:
        await gateway.accepted()
        async with door.feed(gateway, "after=0") as reader:
            assert (await reader.frames(1))[0]["position"] == 1
            async with redis.asyncio.from_url(redis_url) as client:
                await client.flushdb()
            async with asyncio.timeout(HANG_S):
                while (await reader.next()).get("log") != "unavailable":
                    pass
            await gateway.log.open()
            assert (await reader.frames(1))[0]["code"] == "log-regressed"
            order_id = await gateway.accepted()
            assert (await reader.frames(1))[0]["orderId"] == order_id


# -- slow readers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["feed", "order"])
async def test_a_subscriber_that_reads_nothing_is_disconnected_and_delays_no_other(
    redis_url: str, door: Door, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: set[int] = set()
    opened = remembering(monkeypatch, held)
    async with served(redis_url, slow_s=0.05) as gateway:
        order_id = await gateway.accepted()

        def reading() -> Any:
            return door.feed(gateway, "after=0") if of == "feed" else door.order(gateway, order_id)

        steps = after_submission()
        async with reading() as slow, reading() as quick:
            before = await slow.frames(1)
            assert await quick.frames(1) == before
            held.add(id(opened[0]))
            for fact in steps[:3]:
                await gateway.append(order_id, fact)
            assert len(await quick.frames(3)) == 3
            before += await slow.frames(9)  # what was on its way, then the end
            assert slow.code() == 4408
            held.clear()
        async with door.feed(gateway, f"after={before[-1]['cursor']}") as again:
            rest = await again.frames(4 - len(before))
        assert [frame["version"] for frame in before + rest] == [1, 2, 3, 4]


# -- filters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", 12),
        ("&events=OrderConfirmed", 2),
        ("&status=building", 4),
        ("&status=building&events=TransactionBuilt", 2),
        ("&events=OrderConfirmed,RoutingStarted", 4),
        ("&events=OrderConfirmed&events=RoutingStarted", 4),
    ],
)
async def test_a_filter_passes_the_same_frames_on_both_transports(
    redis_url: str, door: Door, query: str, names: int
) -> None:
    async with served(redis_url) as gateway:
        for _ in range(2):
            order_id = await gateway.accepted()
            await gateway.append(order_id, *after_submission())
        result = []
        for item in (door, SSE, WEBSOCKET):
            async with item.feed(gateway, f"after=0{query}") as reader:
                result.append(await reader.frames(names))
        assert result[0] == result[1] == result[2]
        assert len({frame["position"] for frame in result[0]}) == names
        cursor = result[0][0]["cursor"]
        async with door.feed(gateway, f"after={cursor}{query}") as reader:
            assert await reader.frames(names - 1) == result[0][1:]


@pytest.mark.parametrize("query", ["events=Nonsense", "status=done", "orderId=17", "colour=red"])
async def test_an_invalid_filter_is_refused(redis_url: str, door: Door, query: str) -> None:
    async with served(redis_url) as gateway:
        with pytest.raises(Refused) as refused:
            async with door.feed(gateway, query):
                pass
        assert refused.value.status == 400
