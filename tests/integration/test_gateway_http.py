"""Orders over HTTP: a 2xx is durable, one key is one order, and nothing is ever guessed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from events.archive import Archive
from events.ids import new_order_id
from events.log import EventLog
from events.types import OrderSubmitted
from events.version import VERSION
from projections.postgres.projector import run_projector
from tests.support.http.served import GOOD, Served, served, until_ready
from tests.support.log.played import after_submission
from tests.support.patience import given_up_after
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, MARGINS_S, holds, until, until_past

UNKNOWN = "01900000-0000-7000-8000-000000000001"
KEY = "Idempotency-Key"


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


async def events_of(gateway: Served, order_id: str) -> list[str]:
    status, body = await gateway.get(f"/api/orders/{order_id}/events")
    assert status == 200, body
    return [event["event"] for event in body["events"]]


# -- accepting -------------------------------------------------------------------------------------


async def test_an_accepted_order_is_in_the_log_and_can_be_read_at_once(gateway: Served) -> None:
    status, body, _ = await gateway.post()
    order_id = body["orderId"]
    assert status == 202
    assert body == {
        "orderId": order_id,
        "status": "pending",
        "message": "Order submitted successfully",
        "links": {
            "self": f"/api/orders/{order_id}",
            "events": f"/api/orders/{order_id}/events",
            "stream": f"/api/orders/execute?orderId={order_id}",
        },
    }
    status, order = await gateway.get(body["links"]["self"])
    assert (status, order["status"], order["amount"]) == (200, "pending", "1.5")
    assert await events_of(gateway, order_id) == ["OrderSubmitted"]
    assert await gateway.log.position() == 1


async def test_the_history_shows_positions_times_and_chained_hashes(gateway: Served) -> None:
    order_id = await gateway.accepted()
    await gateway.accepted()
    for fact in after_submission():
        await gateway.append(order_id, fact)
    _, body = await gateway.get(f"/api/orders/{order_id}/events")
    events = body["events"]
    assert [e["position"] for e in events] == [1, 3, 4, 5, 6, 7]
    assert [e["version"] for e in events] == [1, 2, 3, 4, 5, 6]
    assert [e["status"] for e in events] == [
        "pending", "routing", "building", "building", "submitted", "confirmed",
    ]  # fmt: skip
    assert len({e["hash"] for e in events}) == 6
    assert "raw" not in str(body)
    _, order = await gateway.get(f"/api/orders/{order_id}")
    assert (order["status"], order["txHash"]) == ("confirmed", events[-1]["txHash"])


async def test_the_history_comes_from_the_archive_where_the_log_is_trimmed(
    gateway: Served,
) -> None:
    order_id = await gateway.accepted()
    for fact in after_submission()[:3]:
        await gateway.append(order_id, fact)
    await gateway.archive.take(gateway.log)
    await trim_all(gateway.log)
    await gateway.append(order_id, after_submission()[3])
    assert await events_of(gateway, order_id) == [
        "OrderSubmitted", "RoutingStarted", "OrderRouted", "TransactionBuilt",
        "TransactionSubmitted",
    ]  # fmt: skip
    gateway.archive.down = True
    status, body = await gateway.get(f"/api/orders/{order_id}/events")
    assert (status, body["code"]) == (503, "archive-unavailable")


async def test_an_order_whose_head_is_gone_comes_from_the_archive(
    gateway: Served, redis_url: str
) -> None:
    order_id = await gateway.accepted()
    await gateway.archive.take(gateway.log)
    async with redis.asyncio.from_url(redis_url) as client:
        await client.delete(gateway.log.keys.order(order_id))
    status, order = await gateway.get(f"/api/orders/{order_id}")
    assert (status, order["orderId"]) == (200, order_id)
    assert await events_of(gateway, order_id) == ["OrderSubmitted"]


async def trim_all(log: EventLog) -> None:
    async with redis.asyncio.from_url(log.url.reveal()) as client:
        await client.xtrim(log.keys.log, minid=f"{await log.position() + 1}-0", approximate=False)


# -- one key, one order ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["header", "field"])
async def test_100_parallel_identical_posts_make_one_order(gateway: Served, kind: str) -> None:
    options: dict[str, Any] = {"headers": {KEY: "k1"}}
    if kind == "field":
        options = {"body": GOOD | {"clientOrderId": "c1"}}
    answers = await asyncio.gather(*(gateway.post(**options) for _ in range(100)))
    statuses = [status for status, _, _ in answers]
    assert statuses.count(202) == 1
    assert statuses.count(200) == 99
    assert len({body["orderId"] for _, body, _ in answers}) == 1
    for status, _, headers in answers:
        assert ("Idempotent-Replayed" in headers) == (status == 200)
    assert await gateway.log.position() == 1


async def test_a_retry_shows_the_first_order_as_it_is_now(gateway: Served) -> None:
    order_id = await gateway.accepted(clientOrderId="c1")
    for fact in after_submission():
        await gateway.append(order_id, fact)
    status, body, headers = await gateway.post(GOOD | {"clientOrderId": "c1"})
    assert (status, body["orderId"], body["status"]) == (200, order_id, "confirmed")
    assert headers["Idempotent-Replayed"] == "true"


async def test_another_request_under_the_same_key_is_refused(gateway: Served) -> None:
    order_id = await gateway.accepted(clientOrderId="c1")
    status, body, _ = await gateway.post(GOOD | {"clientOrderId": "c1", "amount": 2})
    assert (status, body["code"], body["orderId"]) == (422, "idempotency-conflict", order_id)
    await gateway.post(headers={KEY: "k1"})
    status, body, _ = await gateway.post(GOOD | {"amount": 2}, headers={KEY: "k1"})
    assert (status, body["code"]) == (422, "idempotency-conflict")


async def test_an_order_is_read_by_client_order_id_and_idempotency_key(gateway: Served) -> None:
    order = GOOD | {"clientOrderId": "same"}
    _, first, _ = await gateway.post(order, headers={KEY: "k:1"})
    assert (await gateway.post(order))[1]["orderId"] == first["orderId"]
    assert (await gateway.post(order, headers={KEY: "k:1"}))[1]["orderId"] == first["orderId"]
    status, body, _ = await gateway.post(headers={KEY: "same"})  # a key is not a client order id
    assert status == 202
    assert body["orderId"] != first["orderId"]


async def test_an_idempotency_key_sent_with_a_replay_names_the_order_afterwards(
    gateway: Served,
) -> None:
    order = GOOD | {"clientOrderId": "c1"}
    order_id = await gateway.accepted(clientOrderId="c1")
    status, body, _ = await gateway.post(order, headers={KEY: "k1"})
    assert (status, body["orderId"]) == (200, order_id)
    for again in (GOOD, order):
        status, body, _ = await gateway.post(again, headers={KEY: "k1"})
        assert (status, body["orderId"]) == (200, order_id)
    path, batch = "/api/orders/batch", {"orders": [order]}
    assert (await gateway.post(batch, path=path, headers={KEY: "b"}))[1]["results"][0]["replayed"]
    status, body, _ = await gateway.post(headers={KEY: "b#0"})
    assert (status, body["orderId"]) == (200, order_id)
    assert await gateway.log.position() == 1


async def test_a_refused_request_registers_no_key(gateway: Served) -> None:
    order_id = await gateway.accepted(clientOrderId="c1")
    other = GOOD | {"clientOrderId": "c1", "amount": 2}
    assert (await gateway.post(other, headers={KEY: "k1"}))[0] == 422
    status, body, _ = await gateway.post(headers={KEY: "k1"})
    assert status == 202
    assert body["orderId"] != order_id


async def test_a_key_and_a_client_order_id_of_two_orders_are_refused(gateway: Served) -> None:
    order = GOOD | {"clientOrderId": "c1"}
    await gateway.accepted(clientOrderId="c1")
    _, second, _ = await gateway.post(headers={KEY: "k1"})
    status, body, _ = await gateway.post(order, headers={KEY: "k1"})
    assert (status, body["code"]) == (422, "idempotency-conflict")
    assert body["orderId"] == second["orderId"]
    status, body, _ = await gateway.post(GOOD | {"clientOrderId": "c2"}, headers={KEY: "k1"})
    assert (status, body["orderId"]) == (422, second["orderId"])


async def test_a_retry_after_the_order_has_expired_still_finds_it(gateway: Served) -> None:
    order_id, expires = await gateway.expired(clientOrderId="c1")
    status, body, _ = await gateway.post(GOOD | {"clientOrderId": "c1", "expiresAt": expires})
    assert (status, body["orderId"]) == (200, order_id)
    status, body, _ = await gateway.post(GOOD | {"clientOrderId": "c2", "expiresAt": expires})
    assert (status, body["code"]) == (400, "expires-at-past")


async def test_posts_without_an_idempotency_key_create_separate_orders(gateway: Served) -> None:
    assert await gateway.accepted() != await gateway.accepted()


# -- batches ---------------------------------------------------------------------------------------


async def test_a_batch_appends_its_valid_orders_at_once_and_explains_the_invalid(
    gateway: Served,
) -> None:
    orders: list[Any] = [GOOD, GOOD | {"amount": 0}, 7, GOOD | {"clientOrderId": "c"}]
    orders += [GOOD | {"clientOrderId": "c"}, GOOD | {"clientOrderId": "c", "amount": 9}]
    status, body, _ = await gateway.post({"orders": orders}, path="/api/orders/batch")
    assert status == 202
    results = body["results"]
    assert [r["index"] for r in results] == [0, 1, 2, 3, 4, 5]
    assert [r["status"] for r in results] == [
        "pending", "rejected", "rejected", "pending", "pending", "rejected",
    ]  # fmt: skip
    assert results[1]["problem"]["code"] == "amount-not-positive"
    assert results[1]["problem"]["pointer"] == "/amount"
    assert results[2]["problem"]["code"] == "wrong-type"
    assert results[3]["orderId"] == results[4]["orderId"]
    assert results[4]["replayed"] is True
    assert results[5]["problem"]["code"] == "idempotency-conflict"
    assert await batches_of(gateway.log) == [(1, 2)]


async def batches_of(log: EventLog) -> list[tuple[int, int]]:
    reader = log.reader()
    batches = await reader.read(0)
    await reader.close()
    return [(batch.first, batch.last) for batch in batches]


async def test_a_batch_sent_again_under_its_key_makes_no_second_orders(gateway: Served) -> None:
    batch = {"orders": [GOOD, GOOD]}
    options = {"path": "/api/orders/batch", "headers": {KEY: "b1"}}
    _, first, _ = await gateway.post(batch, **options)
    _, again, _ = await gateway.post(batch, **options)
    ids = [result["orderId"] for result in first["results"]]
    assert len(set(ids)) == 2
    assert [result["orderId"] for result in again["results"]] == ids
    assert all(result["replayed"] for result in again["results"])


async def test_500_orders_are_one_batch_and_501_are_too_many(gateway: Served) -> None:
    path = "/api/orders/batch"
    status, body, _ = await gateway.post({"orders": [GOOD] * 500}, path=path)
    assert status == 202
    assert len({result["orderId"] for result in body["results"]}) == 500
    assert await batches_of(gateway.log) == [(1, 500)]
    status, body, _ = await gateway.post({"orders": [GOOD] * 501}, path=path)
    assert (status, body["code"]) == (400, "batch-size")


# -- refusing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "headers", "code"),
    [
        (b"{", {}, (400, "malformed-json")),
        (b"", {}, (400, "malformed-json")),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":NaN}', {}, (400, "malformed-json")),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1e400}', {}, (400, "amount-too-large")),
        (b'{"x":' + b"[" * 50_000, {}, (400, "json-too-deep")),
        (b" " * 1_000_001, {}, (413, "payload-too-large")),
        (b"{}", {"Content-Type": "text/plain"}, (415, "unsupported-media-type")),
        (b"{}", {"Content-Type": ""}, (415, "unsupported-media-type")),
        (b"{}", {"Content-Type": "application/json+x"}, (415, "unsupported-media-type")),
        (b"{}", {"Host": "evil.example"}, (403, "host-forbidden")),
        (b"{}", {"Origin": "http://evil.example"}, (403, "origin-forbidden")),
        (b"{}", {"Origin": "null"}, (403, "origin-forbidden")),
        (b"{}", {KEY: "a b"}, (400, "malformed-idempotency-key")),
    ],
)
async def test_each_refusal_is_a_problem_document(
    gateway: Served, data: bytes, headers: dict[str, str], code: tuple[int, str]
) -> None:
    headers = {"Content-Type": "application/json"} | headers
    status, body, answered = await gateway.post(data=data, headers=headers)
    assert (status, body["code"]) == code
    assert answered["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()
    assert "Traceback" not in str(body)
    assert await gateway.log.position() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
        {"Host": "[::1]:3000"},
        {"Host": "localhost."},
        {"Host": "LOCALHOST.:3000"},
        {"Host": "10.1.2.3"},
    ],
)
async def test_requests_of_same_origin_pages_and_clients_are_accepted(
    gateway: Served, headers: dict[str, str]
) -> None:
    assert (await gateway.post(headers={"Content-Type": "application/json"} | headers))[0] == 202


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"GET /readyz HTTP/1.0\r\n\r\n", 200, ""),
        (b"GET /healthz HTTP/1.0\r\nOrigin: http://\r\n\r\n", 403, "origin-forbidden"),
        (b"GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n", 403, "host-forbidden"),
        (b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "malformed-request"),
    ],
)
async def test_a_health_check_of_http_1_0_needs_no_host(
    gateway: Served, request_line: bytes, status: int, code: str
) -> None:
    """Balancers send `GET /readyz HTTP/1.0` alone; browsers always send Host."""
    port = gateway.runner.addresses[0][1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line)
    async with asyncio.timeout(HANG_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert int(head.split()[1]) == status
    assert json.loads(body).get("code", "") == code


@pytest.mark.parametrize(
    ("headers", "setting"),
    [
        ({"Host": "engine"}, "ALLOWED_HOSTS"),
        ({"Host": "localhost", "Origin": "https://localhost:8443"}, "ALLOWED_ORIGINS"),
    ],
)
async def test_a_refused_host_or_origin_names_the_setting(
    gateway: Served, headers: dict[str, str], setting: str
) -> None:
    _, body, _ = await gateway.post(headers=headers)
    assert setting in body["detail"]


@pytest.mark.parametrize(
    ("hosts", "origins", "page"),
    [
        ("orders.example:8443", "https://ui.example/", "https://ui.example"),
        ("https://Orders.example/", "https://ui.example:443", "https://ui.example"),
        ("orders.example.", "http://UI.example:80/app", "http://ui.example"),
        ("orders.example", "https://ui.example:8443/", "https://ui.example:8443"),
    ],
)
async def test_hosts_and_origins_may_be_written_as_urls(
    redis_url: str, hosts: str, origins: str, page: str
) -> None:
    """Else the setting would match nothing, and every request be refused."""
    async with served(redis_url, hosts=[hosts], origins=[origins]) as gateway:
        headers = {"Host": "orders.example", "Origin": page}
        assert (await gateway.post(headers=headers))[0] == 202
        for wrong in ({"Origin": f"{page}.evil"}, {"Host": "orders.example.evil"}):
            assert (await gateway.post(headers=headers | wrong))[0] == 403


async def test_hosts_and_origins_can_be_allowed(redis_url: str) -> None:
    hosts, origins = ["engine.example"], ["https://ui.example"]
    async with served(redis_url, hosts=hosts, origins=origins) as gateway:
        page = {"Host": "Engine.example:80", "Origin": "https://ui.example"}
        status, body, headers = await gateway.post(headers=page)
        assert (status, headers["Access-Control-Allow-Origin"]) == (202, page["Origin"])
        assert "Idempotent-Replayed" in headers["Access-Control-Expose-Headers"]
        # The browser asks first, and reads refusals and streams as well.
        asked = page | {"Access-Control-Request-Method": "POST"}
        url = f"{gateway.url}/api/orders/execute"
        async with gateway.http.options(url, headers=asked) as answer:
            allowed = answer.headers["Access-Control-Allow-Methods"]
            assert (answer.status, allowed) == (204, "POST, GET, OPTIONS")
            assert "idempotency-key" in answer.headers["Access-Control-Allow-Headers"]
        stream = {"Accept": "text/event-stream"}
        events = f"/api/orders/{body['orderId']}/events"
        for path, more in {"/nope": {}, events: stream, "/api/events": stream}.items():
            async with gateway.http.get(gateway.url + path, headers=page | more) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"], path
        stranger = asked | {"Origin": "https://evil.example"}
        async with gateway.http.options(url, headers=stranger) as answer:
            assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)


async def test_a_batch_that_is_repeated_after_its_orders_expired_names_them_still(
    gateway: Served,
) -> None:
    for margin_s in MARGINS_S:
        expires = int((time.time() + margin_s) * 1000)
        order = GOOD | {"expiresAt": expires}
        orders = [order, order | {"clientOrderId": "c"}]
        headers = {KEY: f"night-{margin_s:.0f}"}
        options: dict[str, Any] = {"path": "/api/orders/batch", "headers": headers}
        _, first, _ = await gateway.post({"orders": orders}, **options)
        await until_past(expires * 1000)
        if all("orderId" in result for result in first["results"]):
            break
    _, again, _ = await gateway.post({"orders": [*orders, orders[0]]}, **options)
    ids = [result["orderId"] for result in first["results"]]
    assert [result.get("orderId") for result in again["results"]] == [*ids, None]
    assert again["results"][2]["problem"]["code"] == "expires-at-past", "that one is new"


async def test_nothing_is_cancelled_or_amended_while_the_log_has_to_be_repaired(
    gateway: Served,
) -> None:
    """A repair would make it void."""
    order_id = await gateway.resting()
    await gateway.log.suspend("projector: the log is behind the archive")
    url = f"/api/orders/{order_id}"
    change = {"version": 2, "targetPrice": "1"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("DELETE", url, {}),
        ("DELETE", "/api/orders?all=true", {}),
        ("PATCH", url, {"json": change}),
    ]
    for method, path, options in asked:
        status, body = await gateway.ask(method, path, **options)
        assert (status, body["code"]) == (503, "suspended"), (method, path)
    await gateway.log.resume()
    assert (await gateway.ask("DELETE", url))[0] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"tokenIn":"SOL","clientOrderId":"a:\xff"}', "malformed-json"),
        (b'{"tokenIn":"S:","amount":' + b"9" * 5000 + b"}", "malformed-json"),
        (b"{" + b",".join(b'"%d":":"' % n for n in range(50_000)) + b"}", "too-many-fields"),
        (b'{"a:":1,"a:":2}', "duplicate-field"),
    ],
    ids=["no text", "a number without end", "fields without end", "twice"],
)
async def test_hostile_bodies_are_refused_with_a_short_problem(
    gateway: Served, body: bytes, code: str
) -> None:
    status, result, _ = await gateway.post(data=body, headers={"Content-Type": "application/json"})
    assert (status, result["code"]) == (400, code)
    assert len(json.dumps(result)) < 20_000


async def test_two_idempotency_key_headers_are_refused(gateway: Served) -> None:
    headers = [(KEY, "a"), (KEY, "b")]
    status, result, _ = await gateway.post(headers=headers)
    assert (status, result["code"]) == (400, "malformed-idempotency-key")


ODD = {
    "not http at all": b"hello\r\n\r\n",
    "a header that is too long": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n"
    % (b"x" * 9000),
    "an unsupported encoding": b"POST /api/orders/execute HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    "a body that is not gzip": b"POST /api/orders/execute HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD.keys())
async def test_malformed_http_is_a_problem_without_internals_of_a_library(
    gateway: Served, sent: bytes
) -> None:
    reader, writer = await asyncio.open_connection(*gateway.runner.addresses[0])
    writer.write(sent)
    async with asyncio.timeout(HANG_S):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert 400 <= status < 500, answer
    assert b"application/problem+json" in head, answer
    assert json.loads(body)["status"] == status
    assert b"x" * 20 not in body


async def test_a_time_beyond_the_year_9999_is_its_end_and_hides_no_order(gateway: Served) -> None:
    beyond = "9999-12-31T23:59:59-23:00"
    order_id = await gateway.accepted(expiresAt=beyond)
    for path in (f"/api/orders/{order_id}", f"/api/orders/{order_id}/events"):
        assert (await gateway.get(path))[0] == 200
    status, order = await gateway.get(f"/api/orders/{order_id}")
    assert order["expiresAt"] == "9999-12-31T23:59:59.999999Z"
    # One that an earlier build took is in the log for good.
    fact = OrderSubmitted("market", "SOL", "USDC", 9, 6, 10**9, 50, expires_at_us=2**62)
    older = new_order_id()
    await gateway.log.append([gateway.log.build_creation(older, "default", fact)[0]])
    status, order = await gateway.get(f"/api/orders/{older}")
    assert (status, order["expiresAt"]) == (200, "9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/nope", 404, "not-found", None),
        ("POST", "/api/orders/", 404, "not-found", None),
        ("GET", f"/api/orders/{UNKNOWN}", 404, "unknown-order", None),
        ("GET", f"/api/orders/{UNKNOWN}/events", 404, "unknown-order", None),
        ("GET", "/api/orders/17", 400, "malformed-order-id", None),
        ("GET", f"/api/orders/{UNKNOWN}?x=1", 400, "malformed-parameter", None),
        ("GET", "/api/orders/execute", 426, "upgrade-required", None),
        ("GET", "/api/events", 426, "upgrade-required", None),
        ("GET", "/api/orders/batch", 405, "method-not-allowed", "POST, OPTIONS"),
        ("DELETE", "/api/orders/execute", 405, "method-not-allowed", "POST, GET, OPTIONS"),
        (
            "PUT",
            f"/api/orders/{UNKNOWN}",
            405,
            "method-not-allowed",
            "GET, HEAD, PATCH, DELETE, OPTIONS",
        ),
        ("POST", "/readyz", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("GET", "/api/orders?limit=0", 400, "malformed-parameter", None),
        ("GET", "/api/orders?limit=501", 400, "malformed-parameter", None),
        ("GET", "/api/orders?status=done", 400, "malformed-parameter", None),
        ("GET", "/api/orders?from=monday", 400, "malformed-parameter", None),
        ("GET", "/api/orders?to=2026-01-01T00:00:00", 400, "malformed-parameter", None),
        ("GET", "/api/orders?page=2", 400, "malformed-parameter", None),
        ("GET", "/api/orders?token=%00", 400, "malformed-parameter", None),
        ("GET", "/api/orders?clientOrderId=a%00b", 400, "malformed-parameter", None),
        ("DELETE", "/api/orders?clientOrderId=%00", 400, "malformed-parameter", None),
        ("GET", "/api/orders?limit=0000005001", 400, "malformed-parameter", None),
        ("GET", "/api/orders?limit=" + "9" * 5000, 400, "malformed-parameter", None),
        ("GET", "/api/orders?token=WIF", 400, "malformed-parameter", None),
        ("GET", "/api/orders?limit=1&limit=2", 400, "malformed-parameter", None),
        ("DELETE", "/api/orders?status=watching&status=odd", 400, "malformed-parameter", None),
    ],
)
async def test_wrong_paths_methods_and_parameters_are_problems(
    gateway: Served, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    async with gateway.http.request(method, gateway.url + path) as answer:
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["code"]) == (status, code)
        assert answer.headers.get("Allow") == allow


# -- when the log is not there ---------------------------------------------------------------------


async def test_a_lost_answer_is_outcome_unknown_with_the_id_of_the_order(
    redis_url: str,
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        await gateway.accepted()  # loads the functions
        proxy.mode = "drop-answers"
        with given_up_after(0.5):
            status, body, headers = await gateway.post(headers={KEY: "k1"})
        assert (status, body["code"]) == (503, "outcome-unknown")
        assert headers["Retry-After"]
        await until(lambda: events_of_log(gateway, body["orderId"]))
        proxy.cut("pass")
        status, again, _ = await gateway.post(headers={KEY: "k1"})
        assert (status, again["orderId"]) == (200, body["orderId"])
        assert (await gateway.get(f"/api/orders/{body['orderId']}"))[0] == 200


async def events_of_log(gateway: Served, order_id: str) -> int:
    head = (await gateway.log.load([order_id]))[0]
    return head.version if head else 0


@pytest.mark.parametrize("mode", ["refuse", "hang"])
async def test_requests_without_the_log_are_refused_in_time_as_log_unavailable(
    redis_url: str, mode: str
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        order_id = await gateway.accepted()
        proxy.cut(mode)
        with given_up_after(1.0):
            async with asyncio.timeout(15):  # one after the other: 20 s or more
                answers = await asyncio.gather(*(gateway.post() for _ in range(20)))
            for status, body, headers in answers:
                assert (status, body["code"]) == (503, "log-unavailable")
                assert headers["Retry-After"] == "1"
            status, body = await gateway.get(f"/api/orders/{order_id}")
            assert (status, body["code"]) == (503, "log-unavailable")
            assert await gateway.get("/healthz") == (200, {"status": "ok"})
            status, body = await gateway.get("/readyz")
            assert (status, body["status"]) == (503, "unavailable")
        assert await gateway.log.position() == 1  # nothing was written
        proxy.cut("pass")
        assert (await gateway.post())[0] == 202


async def test_an_order_that_ended_is_shown_from_the_archive_while_the_log_is_down(
    redis_url: str,
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        order_id = await gateway.accepted()
        for fact in after_submission():
            await gateway.append(order_id, fact)
        await gateway.archive.take(gateway.log)
        proxy.cut("refuse")
        status, order = await gateway.get(f"/api/orders/{order_id}")
        assert (status, order["status"]) == (200, "confirmed")


async def test_orders_are_refused_until_the_log_is_there(redis_url: str) -> None:
    async with proxied(redis_url) as proxy:
        proxy.cut("refuse")
        async with served(redis_url, gateway_redis_url=proxy.url, ready=False) as gateway:
            status, body, _ = await gateway.post()
            assert (status, body["code"]) == (503, "log-unavailable")
            assert (await gateway.get("/readyz"))[0] == 503
            proxy.cut("pass")
            await until_ready(gateway)
            assert (await gateway.post())[0] == 202


async def test_the_gateway_does_not_recreate_a_vanished_log(
    gateway: Served, redis_url: str
) -> None:
    await gateway.accepted()
    async with redis.asyncio.from_url(redis_url) as client:
        await client.flushdb()
        for _ in range(2):
            status, body, _ = await gateway.post()
            assert (status, body["code"]) == (503, "log-unavailable")

            async def empty() -> bool:
                return await client.dbsize() == 0

            await holds(empty, 0.6)
    assert (await gateway.get("/readyz"))[0] == 503
    await gateway.log.open()  # by command
    await until_ready(gateway)
    assert (await gateway.post())[0] == 202


async def test_a_full_log_refuses_only_new_orders(gateway: Served, redis_url: str) -> None:
    order_id = await gateway.accepted()

    async def full() -> bool:
        return bool((await gateway.get("/readyz"))[1]["log"]["status"] == "full")

    async with redis.asyncio.from_url(redis_url) as client:
        used = (await client.info("memory"))["used_memory"]
        try:
            await client.config_set("maxmemory", used + 1000)
            await until(full)
            status, body, headers = await gateway.post()
            assert (status, body["code"]) == (503, "log-full")
            assert headers["Retry-After"]
            await gateway.append(order_id, after_submission()[0])
            assert await full()
        finally:
            await client.config_set("maxmemory", 0)

    async def accepted() -> bool:
        return (await gateway.post())[0] == 202

    await until(accepted)


# -- health ----------------------------------------------------------------------------------------


async def test_readyz_shows_durability_and_every_lag(gateway: Served) -> None:
    await gateway.accepted()
    await gateway.archive.take(gateway.log)
    await gateway.accepted()
    status, body = await gateway.get("/readyz")
    assert (status, body["status"]) == (200, "ready")
    assert body["version"] == VERSION
    assert body["log"]["durability"] in ("fsync", "waitaof", "none")
    assert body["log"]["position"] == 2
    assert body["lag"]["stages"]["router"]["orders"] == 2
    assert body["lag"]["projection"]["events"] == 1
    assert 0 <= body["lag"]["projection"]["seconds"] < HANG_S


async def test_without_postgres_orders_are_taken_and_lists_are_not(gateway: Served) -> None:
    gateway.archive.down = True
    order_id = await gateway.accepted()
    assert (await gateway.get(f"/api/orders/{order_id}"))[0] == 200
    assert await events_of(gateway, order_id) == ["OrderSubmitted"]
    status, body = await gateway.get("/readyz")
    assert (status, body["status"]) == (200, "degraded")
    status, body = await gateway.get("/api/orders")
    assert (status, body["code"]) == (503, "archive-unavailable")


async def test_the_index_links_to_everything(gateway: Served) -> None:
    status, body = await gateway.get("/")
    assert status == 200
    assert body["links"]["submit"] == "/api/orders/execute"


# -- lists, from the real archive ------------------------------------------------------------------


async def test_lists_are_filtered_and_paged_from_the_archive(
    redis_url: str, database_url: str
) -> None:
    archive = await Archive.open(database_url)
    stop = asyncio.Event()
    async with served(redis_url, archive=archive) as gateway:
        projecting = asyncio.create_task(
            run_projector(gateway.log, database_url, retain_events=0, stop=stop)
        )
        ids = [await gateway.accepted(clientOrderId=f"c{n}") for n in range(5)]
        bonk = await gateway.accepted(tokenOut="BONK")
        for fact in after_submission():
            await gateway.append(ids[0], fact)
        await projected(gateway)
        _, first = await gateway.get("/api/orders?limit=4")
        _, rest = await gateway.get(f"/api/orders?limit=4&cursor={first['nextCursor']}")
        listed = [order["orderId"] for order in first["orders"] + rest["orders"]]
        assert listed == sorted([bonk, *ids], reverse=True)  # ids carry their time
        assert rest["nextCursor"] is None
        for query, expected in {
            "status=confirmed": [ids[0]],
            "token=BONK": [bonk],
            "clientOrderId=c2": [ids[2]],
            "to=2020-01-01T00:00:00Z": [],
        }.items():
            _, result = await gateway.get(f"/api/orders?{query}")
            assert [order["orderId"] for order in result["orders"]] == expected, query
        status, body = await gateway.get("/api/orders?cursor=nonsense")
        assert (status, body["code"]) == (400, "malformed-cursor")
        assert len(await events_of(gateway, ids[0])) == 6
        stop.set()
        await projecting
    await archive.close()


async def projected(gateway: Served) -> None:
    async def no_lag() -> bool:
        lag = (await gateway.get("/readyz"))[1]["lag"]["projection"]
        return lag is not None and not lag["events"]

    await until(no_lag)
