"""API keys: who comes in, for what, whose orders they see; as the log has them, at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from events.commands import api_keys
from events.commands.api_keys import SCOPES, KeyRefused
from events.ids import KEYS_ID
from events.log import EventLog
from events.streams import ApiKey, KeyRing, fold
from gateway.api.audits import Audits
from gateway.middleware.rate_limit import Rates
from tests.support.http.served import GOOD, Served, served
from tests.support.processes.child import ENGINE
from tests.support.waits import HANG_S, until


class Doors(NamedTuple):
    """A gateway that requires a key, and ways to connect to it."""

    gateway: Served

    async def key(self, account: str, *scopes: str, ends_us: int = 0) -> str:
        issued = await api_keys.create(self.gateway.log, account, scopes, "", ends_us, "ann")
        await self.opens(issued.text.reveal())
        return issued.text.reveal()

    async def opens(self, key: str) -> None:
        async def known() -> bool:
            return await self.status("GET", "/api/tokens", key) in (200, 403)

        await until(known)

    async def status(self, method: str, path: str, key: str = "", **options: Any) -> int:
        status, _ = await self.gateway.ask(method, path, headers=bearer(key), **options)
        return status

    async def submit(self, key: str, **fields: Any) -> str:
        status, body, _ = await self.gateway.post(GOOD | fields, headers=bearer(key))
        assert status == 202, body
        return str(body["orderId"])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


@pytest.fixture
async def doors(redis_url: str) -> AsyncIterator[Doors]:
    async with served(redis_url, keys_required=True) as gateway:
        yield Doors(gateway)


async def test_without_a_key_only_the_health_checks_are_served(doors: Doors) -> None:
    for path in ("/api/orders", "/api/quotes", "/metrics", "/api/tokens"):
        status, body = await doors.gateway.get(path)
        assert (status, body["code"]) == (401, "unauthenticated"), path
    status, body, headers = await doors.gateway.post()
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="oee"')
    for path in ("/healthz", "/readyz", "/", "/openapi.json"):
        assert (await doors.gateway.get(path))[0] == 200, path


@pytest.mark.parametrize(
    "presented", ["x", "oee_", "oee_abc_def", "oee__", "Bearer", "é".encode().decode("latin-1")]
)
async def test_a_malformed_key_is_refused(doors: Doors, presented: str) -> None:
    await doors.key("main", "read")
    assert await doors.status("GET", "/api/tokens", presented) == 401


async def test_a_key_with_a_wrong_secret_is_refused(doors: Doors) -> None:
    key = await doors.key("main", "read")
    assert (
        await doors.status("GET", "/api/tokens", key[:-1] + ("a" if key[-1] != "a" else "b")) == 401
    )
    assert await doors.status("GET", "/api/tokens", key) == 200


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_permits_its_scopes_only(doors: Doors, scope: str) -> None:
    order_id = await doors.submit(await doors.key("main", "trade"))
    key = await doors.key("main", scope)
    halt = {"json": {"reason": "odd"}}
    results = {
        "read": await doors.status("GET", f"/api/orders/{order_id}", key),
        "trade": await doors.status("POST", "/api/orders/execute", key, json=GOOD),
        "cancel": await doors.status("DELETE", f"/api/orders/{order_id}", key),
        "admin": await doors.status("POST", "/api/admin/halt", key, **halt),
    }
    good = {name for name, status in results.items() if status in (200, 202)}
    assert good == (set(SCOPES) if scope == "admin" else {scope})
    assert {status for status in results.values() if status >= 300} <= {403}


async def test_orders_of_another_account_do_not_exist(doors: Doors) -> None:
    mine, theirs = await doors.key("me", *SCOPES[:3]), await doors.key("them", *SCOPES[:3])
    order_id = await doors.submit(theirs, clientOrderId="one")
    path = f"/api/orders/{order_id}"
    amend = {"json": {"version": 1, "targetPrice": "9"}}
    for method, at, options in (
        ("GET", path, {}),
        ("GET", f"{path}/events", {}),
        ("DELETE", path, {}),
        ("PATCH", path, amend),
    ):
        assert await doors.status(method, at, mine, **options) == 404, (method, at)
    status, body = await doors.gateway.ask("DELETE", "/api/orders?all=true", headers=bearer(mine))
    assert (status, body["results"]) == (200, [])
    assert await doors.submit(mine, clientOrderId="one") != order_id  # names are the account's own
    assert await doors.status("GET", path, theirs) == 200
    admin = await doors.key("boss", "admin")
    assert await doors.status("GET", f"{path}/events", admin) == 200


async def test_an_order_is_of_the_account_of_its_key(doors: Doors) -> None:
    key = await doors.key("desk", "trade", "read", "cancel")
    order_id = await doors.submit(key)
    status, order = await doors.gateway.get(f"/api/orders/{order_id}", headers=bearer(key))
    assert (status, order["account"]) == (200, "desk")
    await doors.status("DELETE", f"/api/orders/{order_id}?actor=bob", key)
    _, history = await doors.gateway.get(f"/api/orders/{order_id}/events", headers=bearer(key))
    assert history["events"][-1]["actor"] == f"bob (key {key.split('_')[1]})"


async def test_the_feed_of_a_key_has_its_own_orders_only(doors: Doors) -> None:
    mine, theirs = await doors.key("me", "read", "trade"), await doors.key("them", "trade")
    hidden = await doors.submit(theirs)
    seen = await doors.submit(mine)
    headers = bearer(mine)
    async with doors.gateway.http.ws_connect(
        f"{doors.gateway.url}/api/events?after=0", headers=headers
    ) as ws:
        frame = await ws.receive_json(timeout=HANG_S)
        assert frame["orderId"] == seen
    follow = f"{doors.gateway.url}/api/orders/execute"
    async with doors.gateway.http.ws_connect(follow, headers=headers) as ws:
        await ws.send_json({"orderId": hidden})
        assert (await ws.receive_json(timeout=HANG_S))["code"] == "unknown-order"
    async with doors.gateway.http.ws_connect(f"{follow}?orderId={hidden}", headers=headers) as ws:
        assert (await ws.receive_json(timeout=HANG_S))["code"] == "unknown-order"


async def test_a_key_offered_as_a_subprotocol_is_accepted_and_oee_is_selected(
    doors: Doors,
) -> None:
    key = await doors.key("me", "read")
    url = f"{doors.gateway.url}/api/events"
    async with doors.gateway.http.ws_connect(url, protocols=("oee", f"bearer.{key}")) as ws:
        assert ws.protocol == "oee"
    for protocols in ((f"bearer.{key}",), ("oee", "bearer.oee_1_2"), ("oee",)):
        with pytest.raises(WSServerHandshakeError) as refused:
            await doors.gateway.http.ws_connect(url, protocols=protocols)
        assert refused.value.status == 401


async def test_no_key_that_a_page_offers_is_logged(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    key = await doors.key("me", "read")
    for path in ("/api/events", "/api/orders/execute"):
        url = doors.gateway.url + path
        async with doors.gateway.http.ws_connect(url, protocols=("oee", f"bearer.{key}")):
            pass
    assert "bearer" not in caplog.text


async def test_a_key_is_valid_as_soon_as_it_is_created(doors: Doors) -> None:
    for _ in range(5):
        issued = await api_keys.create(doors.gateway.log, "me", ("read",), "", 0, "ann")
        assert await doors.status("GET", "/api/tokens", issued.text.reveal()) == 200
        turned = await api_keys.rotate(doors.gateway.log, issued.key.id, 0, "ann")
        assert await doors.status("GET", "/api/tokens", turned.text.reveal()) == 200


async def test_a_revoked_key_is_refused_and_its_sockets_are_closed(doors: Doors) -> None:
    key = await doors.key("me", "read")
    async with doors.gateway.http.ws_connect(
        f"{doors.gateway.url}/api/events", headers=bearer(key)
    ) as ws:
        await api_keys.revoke(doors.gateway.log, key.split("_")[1], "lost", "ann")
        async with asyncio.timeout(HANG_S):
            while not ws.closed:
                await ws.receive()
        assert ws.close_code == 4401
    assert await doors.status("GET", "/api/tokens", key) == 401


async def test_streams_opened_with_the_old_secret_of_a_rotated_key_are_closed(doors: Doors) -> None:
    old = await doors.key("me", "read")
    key_id, url = old.split("_")[1], f"{doors.gateway.url}/api/events"
    async with doors.gateway.http.ws_connect(url, headers=bearer(old)) as ws:
        new = (await api_keys.rotate(doors.gateway.log, key_id, 0, "ann")).text.reveal()
        async with doors.gateway.http.ws_connect(url, headers=bearer(new)) as other:
            async with asyncio.timeout(HANG_S):
                while not ws.closed:
                    await ws.receive()
            assert ws.close_code == 4401
            assert not other.closed


async def test_a_streamed_audit_ends_with_its_key(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    @contextlib.asynccontextmanager
    async def asked(*_: object) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """An auditor that has much to read."""

        async def lines() -> AsyncIterator[dict[str, Any]]:
            yield {"done": 1, "of": 100}
            await asyncio.Event().wait()

        try:
            yield lines()
        finally:
            ended.set()

    monkeypatch.setattr(Audits, "_asked", asked)
    key = await doors.key("me", "admin")
    url = f"{doors.gateway.url}/api/audit/verify"
    async with doors.gateway.http.get(url, headers=bearer(key)) as answer:
        assert await answer.content.readline() == b"event: progress\n"
        await api_keys.revoke(doors.gateway.log, key.split("_")[1], "lost", "ann")
        async with asyncio.timeout(HANG_S):
            text = await answer.content.read()
    assert b'event: close\ndata: {"code":4401,' in text
    assert ended.is_set()


async def test_a_rotated_key_has_another_secret_and_the_old_one_lasts_for_its_grace(
    doors: Doors,
) -> None:
    old = await doors.key("me", "read")
    new = (await api_keys.rotate(doors.gateway.log, old.split("_")[1], 60, "ann")).text.reveal()
    await doors.opens(new)
    assert await doors.status("GET", "/api/tokens", old) == 200
    newest = (await api_keys.rotate(doors.gateway.log, old.split("_")[1], 0, "ann")).text.reveal()
    await doors.opens(newest)
    assert [await doors.status("GET", "/api/tokens", k) for k in (old, new)] == [401, 401]


async def test_a_key_ends_at_its_expiry(doors: Doors) -> None:
    async def opened(margin_s: float) -> str:
        """A key that was accepted before its end; empty where no request came in time."""
        ends_us = time.time_ns() // 1000 + int(margin_s * 1e6)
        issued = await api_keys.create(doors.gateway.log, "me", ["read"], "", ends_us, "ann")
        text = issued.text.reveal()
        while time.time_ns() // 1000 < ends_us:
            if await doors.status("GET", "/api/tokens", text) == 200:
                return text
        return ""

    key = await opened(0.5) or await opened(5.0) or await opened(50.0)
    assert key

    async def ended() -> bool:
        return await doors.status("GET", "/api/tokens", key) == 401

    await until(ended)


async def test_without_keys_required_a_key_still_counts_and_a_bad_one_is_refused(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway:
        doors = Doors(gateway)
        assert await doors.status("GET", "/api/tokens") == 200
        assert await doors.status("GET", "/api/tokens", "oee_1_2") == 401
        order_id = await doors.submit(await doors.key("desk", "trade"))
        _, order = await gateway.get(f"/api/orders/{order_id}")
        assert order["account"] == "desk"


async def test_key_events_are_in_the_log_without_secrets(doors: Doors) -> None:
    key = await doors.key("me", "read")
    key_id, secret = key.split("_", 2)[1:]
    await api_keys.rotate(doors.gateway.log, key_id, 0, "bob")
    await api_keys.revoke(doors.gateway.log, key_id, "lost", "bob")
    head = (await doors.gateway.log.load([KEYS_ID]))[0]
    assert head is not None
    history = await doors.gateway.log.history(head.positions)
    events = [stored.record.event() for stored in history]
    assert [event.name for event in events] == ["KeyCreated", "KeyRotated", "KeyRevoked"]
    assert secret.encode() not in b"".join(bytes(s.record.body) for s in history)
    folded = fold(events)
    assert isinstance(folded, KeyRing)
    assert folded.keys == ()
    admin = await doors.key("boss", "admin")
    url = f"{doors.gateway.url}/api/events?after=0"
    async with doors.gateway.http.ws_connect(url, headers=bearer(admin)) as ws:
        frame = await ws.receive_json(timeout=HANG_S)
    assert (frame["event"], frame["keyId"]) == ("KeyCreated", key_id)
    assert not {"digest", "hash_", "key"} & set(frame)


async def test_two_concurrent_creations_of_the_first_key_both_succeed(redis_url: str) -> None:
    logs = [EventLog(redis_url, build="test") for _ in range(2)]
    for log in logs:
        await log.open()
    issueds = await asyncio.gather(
        *(api_keys.create(log, f"a{n}", ["read"], "", 0, "ann") for n, log in enumerate(logs))
    )
    keys: tuple[ApiKey, ...] = await api_keys.listed(logs[0])
    assert {key.id for key in keys} == {issued.key.id for issued in issueds}
    with pytest.raises(KeyRefused):
        await api_keys.revoke(logs[0], "nobody", "", "ann")
    for log in logs:
        await log.close()


async def test_without_a_log_the_keys_command_prints_what_to_wait_for(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        *ENGINE, "keys", "create", "--account", "desk",
        stderr=asyncio.subprocess.PIPE, cwd=tmp_path, env=os.environ | urls,
    )  # fmt: skip
    _, raw = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == 2
    assert raw.decode().startswith("engine: there is no log yet"), raw


async def test_a_rate_limited_request_gets_retry_after(redis_url: str) -> None:
    # So slow that none is earned while the machine stalls.
    async with served(redis_url, rates=Rates(0.01, 3)) as gateway, ClientSession() as http:
        seen = []
        for _ in range(4):
            async with http.get(f"{gateway.url}/api/tokens") as answer:
                seen.append((answer.status, answer.headers["RateLimit"]))
                assert answer.headers["RateLimit-Policy"] == '"default";q=3;w=300'
                after = answer.headers.get("Retry-After")
        assert [status for status, _ in seen] == [200, 200, 200, 429]
        assert seen[0][1] == '"default";r=2;t=100'
        assert 0 < int(after or "") <= 100
        async with http.get(f"{gateway.url}/api/orders/nope") as answer:
            assert "RateLimit" in answer.headers
        assert (await gateway.get("/healthz"))[0] == 200  # who only asks whether it lives


async def test_sockets_beyond_the_limit_are_refused_until_one_closes(redis_url: str) -> None:
    async with served(redis_url, sockets_max=3, sockets_max_each=2) as gateway:
        url = f"{gateway.url}/api/events"
        first, second = [await gateway.http.ws_connect(url) for _ in range(2)]
        with pytest.raises(WSServerHandshakeError) as refused:
            await gateway.http.ws_connect(url)
        assert refused.value.status == 429
        await first.close()

        async def free() -> bool:
            try:
                await (await gateway.http.ws_connect(url)).close()
            except WSServerHandshakeError:
                return False
            return True

        await until(free)
        await second.close()
