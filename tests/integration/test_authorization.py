"""Authorization: every operation x every kind of key, and no trace of another account's orders.

Made from the table of operations and from what is meant (`permitted`): an operation without
an entry there fails, and so does a way of reading that says more of another account's order than
of an id that never was.
"""

from __future__ import annotations

import contextlib
import json
import operator
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis.asyncio
from aiohttp import web

from engine.composition.routing_preview import preview_routing
from events.archive import Archive
from events.commands import api_keys
from events.commands.api_keys import SCOPES
from events.log import EventLog
from events.types import OrderArmed
from gateway.app import UnknownRoute, make_app, make_runner
from gateway.endpoints.table import ENDPOINTS
from gateway.middleware import auth
from gateway.options import GatewayOptions
from tests.conftest import Servers
from tests.support.http.permitted import EXPECTED, LIMIT, UNKNOWN, Call, Key, alike, ask
from tests.support.http.served import GOOD, TOKENS, MemoryArchive, Served, served
from tests.support.log.projected import projected, projecting

CALLS = [
    pytest.param(key, call, id=f"{key[0]} {key[1]} {call.door} {call.status}")
    for key in ENDPOINTS
    for call in (EXPECTED[key].calls if key in EXPECTED else ())
]


class KeyedGateway(NamedTuple):
    """A gateway that requires a key, its archive, and keys of every kind."""

    gateway: Served
    archive: Archive
    tokens: dict[str, str]

    async def key(self, account: str, scopes: Sequence[str], ends_us: int = 0) -> str:
        issued = await api_keys.create(self.gateway.log, account, scopes, "", ends_us, "ann")
        return issued.text.reveal()

    async def resting(self, account: str = "me") -> str:
        """An order of an account that waits, at version 2."""
        token = self.tokens["all" if account == "me" else "other"]
        headers = {"Authorization": f"Bearer {token}"}
        status, body, _ = await self.gateway.post(LIMIT, headers=headers)
        assert status == 202, body
        await self.gateway.append(body["orderId"], OrderArmed(7))
        return str(body["orderId"])


@contextlib.asynccontextmanager
async def database(servers: Servers) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(servers.database_url)
    try:
        await server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{name}"))
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


@pytest.fixture(scope="module")
async def keyed(servers: Servers) -> AsyncIterator[KeyedGateway]:
    """One for all tests of this file: a start for each would take longer than they do."""
    async with redis.asyncio.from_url(servers.redis_url) as client:
        await client.flushdb()
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(auth, "LOOK_S", 0.0)  # hundreds of bad keys are tried here
    async with database(servers) as url:
        archive = await Archive.open(url)
        async with (
            served(servers.redis_url, archive=archive, keys_required=True) as gateway,
            projecting(servers.redis_url, url),
        ):
            keyed_gateway = KeyedGateway(gateway, archive, {})
            keyed_gateway.tokens.update(await _tokens(keyed_gateway))
            await projected(gateway.log, archive)  # the archive has its tables
            yield keyed_gateway
        await archive.close()
    monkeypatch.undo()


async def _tokens(keyed: KeyedGateway) -> dict[str, str]:
    log, three = keyed.gateway.log, SCOPES[:3]
    balances = {scope: await keyed.key("me", [scope]) for scope in SCOPES}
    balances |= {
        f"but {scope}": await keyed.key("me", [s for s in three if s != scope]) for scope in three
    }
    balances |= {"all": await keyed.key("me", three), "other": await keyed.key("them", three)}
    ended_us = time.time_ns() // 1000 - 1
    balances["expired"] = await keyed.key("me", SCOPES, ended_us)
    balances["revoked"] = await keyed.key("me", SCOPES)
    await api_keys.revoke(log, balances["revoked"].split("_")[1], "left", "ann")
    balances["rotated"] = await keyed.key("me", SCOPES)
    await api_keys.rotate(log, balances["rotated"].split("_")[1], 0, "ann")
    whole = balances["admin"]
    prefix, key_id, secret = whole.split("_", 2)
    return balances | {
        "unknown": f"{prefix}_{secrets.token_hex(6)}_{secret}",
        "of another's secret": f"{prefix}_{key_id}_{balances['read'].split('_', 2)[2]}",
        "cut short": whole[:-1],
        "too long": whole + "a",
        "of another prefix": "x" + whole,
        "without a secret": f"{prefix}_{key_id}_",
        "nonsense": "nonsense",
    }


GRANTING = {scope: {scope} for scope in SCOPES[:3]} | {
    "admin": set(SCOPES),
    "all": set(SCOPES[:3]),
    "other": set(SCOPES[:3]),
    **{f"but {scope}": set(SCOPES[:3]) - {scope} for scope in SCOPES[:3]},
}
"""The scopes of the keys that are good."""


# -- the table -------------------------------------------------------------------------------------


def test_the_expected_permissions_cover_exactly_the_operations() -> None:
    assert set(EXPECTED) == set(ENDPOINTS)


def test_every_operation_requires_its_expected_scope_and_reach() -> None:
    results = {
        key: (endpoint.permission.scope, endpoint.permission.reach.value)
        for key, endpoint in ENDPOINTS.items()
    }
    assert results == {key: (meant.scope, meant.reach) for key, meant in EXPECTED.items()}


@pytest.mark.parametrize("method", ["GET", "*"])
async def test_a_gateway_with_a_route_that_has_no_permission_does_not_start(method: str) -> None:
    async def hidden(_: web.Request) -> web.Response:
        return web.json_response({})

    app = make_app(_options())
    make_runner(app)
    app.router.add_route(method, "/hidden", hidden)
    with pytest.raises(UnknownRoute, match=re.escape(f"{method} /hidden has no permission")):
        make_runner(app)


@pytest.mark.parametrize("name", ["nothing", "orders.nothing"])
async def test_a_gateway_with_an_endpoint_that_has_no_handler_does_not_start(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, endpoint = next(iter(ENDPOINTS.items()))
    without = endpoint._replace(handler=operator.attrgetter(name))
    monkeypatch.setattr("gateway.app.ENDPOINTS", ENDPOINTS | {key: without})
    with pytest.raises(AttributeError, match="nothing"):
        make_app(_options())


def _options() -> GatewayOptions:
    """Of a gateway that is made and never asked."""
    log = EventLog("redis://localhost", build="test")
    return GatewayOptions(
        log=log,
        archive=MemoryArchive(),
        tokens=TOKENS,
        account="me",
        quotes=_no_quotes,
        previews=preview_routing,
    )


async def _no_quotes(_: object) -> tuple[()]:
    return ()


# -- operation x key -------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "call"), CALLS)
async def test_an_operation_admits_only_keys_with_its_scope(
    keyed: KeyedGateway, key: Key, call: Call
) -> None:
    meant = EXPECTED[key].scope
    result, expected = {}, {}
    for name, token in {"none": None, **keyed.tokens}.items():
        scopes = GRANTING.get(name, set())
        granted = not meant or meant in scopes
        account = "them" if name == "other" else "me"
        own = granted and call.order
        order_id = await keyed.resting(account) if own else UNKNOWN
        answered = await ask(keyed.gateway, key, call, token, order_id)
        result[name] = (answered.status, answered.code if answered.status in (401, 403) else "")
        refused = (403, "scope-missing") if scopes else (401, "unauthenticated")
        expected[name] = (call.status, "") if granted else refused
        if answered.status == 401:
            assert answered.headers["WWW-Authenticate"] == 'Bearer realm="oee"', name
    assert result == expected


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Token {}", "Digest {}"]
)
async def test_a_key_under_another_authorization_scheme_is_refused(
    keyed: KeyedGateway, header: str
) -> None:
    headers = {"Authorization": header.format(keyed.tokens["admin"])}
    status, body = await keyed.gateway.get("/api/tokens", headers=headers)
    assert (status, body["code"]) == (401, "unauthenticated")


# -- another account's orders ----------------------------------------------------------------------

IN_PATH = [
    pytest.param(key, call, id=f"{key[0]} {key[1]} {call.door}")
    for key, meant in EXPECTED.items()
    if meant.reach == "in-path"
    for call in meant.calls
]


@pytest.mark.parametrize(("key", "call"), IN_PATH)
async def test_an_order_of_another_account_is_answered_like_an_unknown_id(
    keyed: KeyedGateway, key: Key, call: Call
) -> None:
    theirs = await keyed.resting("them")
    mine = keyed.tokens["all"]
    for archived in (False, True):  # read from the log, then from the archive alone
        if archived:
            await projected(keyed.gateway.log, keyed.archive)
            async with redis.asyncio.from_url(keyed.gateway.log.url.reveal()) as client:
                await client.delete(keyed.gateway.log.keys.order(theirs))
        known = await ask(keyed.gateway, key, call, mine, theirs)
        never = await ask(keyed.gateway, key, call, mine)
        # A key that is not `admin` does not get so far as to any order.
        refused = EXPECTED[key].scope == "admin"
        expected = (403, "scope-missing") if refused else (404, "unknown-order")
        assert (known.status, known.code) == expected
        assert alike(known, theirs) == alike(never, UNKNOWN)


async def test_lists_cancels_and_metrics_exclude_other_accounts(
    keyed: KeyedGateway,
) -> None:
    gateway = keyed.gateway
    mine, theirs = ({"Authorization": f"Bearer {keyed.tokens[n]}"} for n in ("all", "other"))
    name = secrets.token_hex(4)
    body = LIMIT | {"clientOrderId": name}
    _, hidden, _ = await gateway.post(body, headers=theirs)
    hidden_id = hidden["orderId"]
    await projected(gateway.log, keyed.archive)
    for query in (f"?clientOrderId={name}", "?status=pending&limit=500", "?token=SOL&limit=500"):
        status, listed = await gateway.get("/api/orders" + query, headers=mine)
        assert status == 200
        assert {order["account"] for order in listed["orders"]} <= {"me"}, query
        assert hidden_id not in json.dumps(listed)
    _, listed = await gateway.get(f"/api/orders?clientOrderId={name}", headers=theirs)
    assert [order["orderId"] for order in listed["orders"]] == [hidden_id]
    for query in (f"clientOrderId={name}", "all=true", "token=SOL", "status=pending"):
        _, done = await gateway.ask("DELETE", f"/api/orders?{query}", headers=mine)
        assert hidden_id not in json.dumps(done), query
    status, order = await gateway.get(f"/api/orders/{hidden_id}", headers=theirs)
    assert (status, order["status"]) == (200, "pending")
    for path in ("/metrics", "/api/tokens", "/readyz"):
        async with gateway.http.get(gateway.url + path, headers=mine) as answer:
            text = await answer.text()
            assert hidden_id not in text
            assert name not in text


async def test_names_of_orders_are_each_accounts_own(keyed: KeyedGateway) -> None:
    """Also where one account reads as the other's with a part of its client's name."""
    gateway, name = keyed.gateway, secrets.token_hex(4)
    created = {}
    for account, header, key in (
        ("me", "Idempotency-Key", name),
        ("them", "Idempotency-Key", name),
        ("me:key", "Idempotency-Key", name),
        ("me", "Idempotency-Key", f"key:{name}"),
        ("me%3Akey", "Idempotency-Key", name),
    ):
        token = await keyed.key(account, ["trade", "read"])
        headers = {"Authorization": f"Bearer {token}", header: key}
        status, body, _ = await gateway.post(GOOD, headers=headers)
        assert status == 202, (account, key, body)
        created[account, key] = body["orderId"]
        again, body, _ = await gateway.post(GOOD, headers=headers)
        assert (again, body["orderId"]) == (200, created[account, key])
        # In a batch the key has the order's number behind it: another name.
        path = "/api/orders/batch"
        status, body, _ = await gateway.post({"orders": [GOOD]}, path=path, headers=headers)
        created[account, f"{key}#0"] = body["results"][0]["orderId"]
    assert len(set(created.values())) == len(created)


async def test_a_conflict_of_names_never_shows_another_accounts_order(keyed: KeyedGateway) -> None:
    gateway, name = keyed.gateway, secrets.token_hex(4)
    mine, theirs = ({"Authorization": f"Bearer {keyed.tokens[n]}"} for n in ("all", "other"))
    body = GOOD | {"clientOrderId": name}
    _, hidden, _ = await gateway.post(body, headers=theirs)
    status, created, _ = await gateway.post(body | {"amount": "2"}, headers=mine)
    assert status == 202
    assert created["orderId"] != hidden["orderId"]
    status, conflict, _ = await gateway.post(body | {"amount": "3"}, headers=mine)
    assert (status, conflict["orderId"]) == (422, created["orderId"])


async def test_a_key_without_an_account_or_with_an_unknown_scope_is_not_created(
    keyed: KeyedGateway,
) -> None:
    for account, scopes in (("", ["read"]), ("a" * 65, ["read"]), ("me", []), ("me", ["root"])):
        with pytest.raises(api_keys.KeyRefused):
            await api_keys.create(keyed.gateway.log, account, scopes, "", 0, "ann")


async def test_an_amend_of_an_older_version_is_a_conflict_even_where_its_terms_already_apply(
    keyed: KeyedGateway,
) -> None:
    order_id = await keyed.resting()
    headers = {"Authorization": f"Bearer {keyed.tokens['all']}"}
    path = f"/api/orders/{order_id}"
    same = {"targetPrice": "151"}
    for version, status, code in ((1, 409, "version-conflict"), (2, 200, None), (3, 409, None)):
        answered, body = await keyed.gateway.ask(
            "PATCH", path, json=same | {"version": version}, headers=headers
        )
        assert answered == status, body
        assert code is None or body["code"] == code
    head = (await keyed.gateway.log.load([order_id]))[0]
    assert head is not None
    assert head.version == 2
