"""Parked orders over HTTP: the same acts as the command's, for keys of scope `admin`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from engine.client import Client
from engine.recovery.settle import settler
from events.secret import SecretBytes
from events.types import OrderParked, RoutingStarted, TransactionBuilt, TransactionSubmitted
from tests.integration import test_repair, test_settlement
from tests.integration.test_repair import Scene
from tests.integration.test_settlement import Operator
from tests.support.http.served import Served, served
from tests.support.log.played import routed
from tests.support.log.projected import projected, projecting

scene, operator = test_repair.scene, test_settlement.operator
PARK = OrderParked("router", "a bug", "engine")


@contextlib.asynccontextmanager
async def gateway_of(scene: Scene) -> AsyncIterator[Served]:
    async with projecting(scene.redis_url, scene.database_url):
        await projected(scene.log, scene.archive)
        settles = settler(scene.settings, scene.log, scene.archive)
        async with served(scene.redis_url, archive=scene.archive, settles=settles) as gateway:
            yield gateway


async def act(gateway: Served, order_id: str, name: str, **body: str) -> tuple[int, Any]:
    return await gateway.ask("POST", f"/api/admin/parked/{order_id}/{name}", json=body)


async def test_an_executed_order_is_settled_and_the_alert_clears(
    scene: Scene, operator: Operator
) -> None:
    order_id = await operator.executed("sig-1")
    async with gateway_of(scene) as gateway:
        status, problem = await act(gateway, order_id, "settle")
        assert (status, problem["code"]) == (409, "not-settled")
        assert problem["reason"] == "transaction-not-found"
        status, problem = await act(gateway, order_id, "requeue")
        assert (status, problem["code"]) == (409, "not-parked")
        assert "engine parked settle" in problem["detail"]
        assert (await gateway.get("/readyz"))[1]["parked"] == 1
        operator.lands(order_id, "sig-1")
        status, body = await act(gateway, order_id, "settle", reason="by the record", actor="ann")
        assert (status, body["status"], body["txHash"]) == (200, "confirmed", "sig-1")
        assert body["parked"] is None
        assert (await act(gateway, order_id, "settle"))[0] == 200, "again"
        assert (await gateway.get("/readyz"))[1]["parked"] == 0
        _, history = await gateway.get(f"/api/orders/{order_id}/events")
        assert [event["event"] for event in history["events"][-2:]] == [
            "TransactionRecovered",
            "OrderConfirmed",
        ]
        assert history["events"][-2]["actor"] == "ann"
        await projected(scene.log, scene.archive)
        _, listed = await gateway.get("/api/orders?status=confirmed")
        assert [order["orderId"] for order in listed["orders"]] == [order_id]


async def test_an_unknown_transaction_is_named_and_has_to_fit(
    scene: Scene, operator: Operator
) -> None:
    order_id = await operator.parked(PARK)
    async with gateway_of(scene) as gateway:
        assert (await act(gateway, order_id, "settle"))[1]["reason"] == "signature-needed"
        operator.lands(order_id, "sig-1", amount_in=1)
        status, problem = await act(gateway, order_id, "settle", signature="sig-1")
        assert (status, problem["reason"]) == (409, "transaction-does-not-fit")
        operator.lands(order_id, "sig-2")
        client = Client(gateway.url)
        async with client:
            done = await client.settle(order_id, "sig-2", actor="ann")
        assert (done.status, done.tx_hash) == ("confirmed", "sig-2")


async def test_parked_orders_are_put_back_or_failed(scene: Scene, operator: Operator) -> None:
    again, gone, sent = [await operator.parked(PARK) for _ in range(3)]
    built = TransactionBuilt(1, "sig-1", 12_495, SecretBytes(b"raw"))
    submitted = TransactionSubmitted(1, "sig-1")
    out = await operator.parked(RoutingStarted(), routed(), built, submitted, PARK)
    async with gateway_of(scene) as gateway, Client(gateway.url) as client:
        with structlog.testing.capture_logs() as lines:
            assert (await client.requeue(again, "fixed")).status == "pending"
            assert (await client.discard(gone, "no", "ann")).status == "failed"
        told = [line for line in lines if line["event"] == "parked_order_ended"]
        assert [(line["order_id"], line["act"], line["status"]) for line in told] == [
            (again, "requeue", "pending"), (gone, "discard", "failed"),
        ]  # fmt: skip
        status, body = await act(gateway, sent, "discard")
        assert (status, body["status"], body["reason"]) == (
            200,
            "failed",
            "discarded",
        )
        status, problem = await act(gateway, out, "discard")
        assert (status, problem["code"]) == (409, "not-parked")
        assert "may still land" in problem["detail"]
        for order_id, code in ((again, "not-parked"), (str(again)[:-4] + "0000", "unknown-order")):
            for name in ("settle", "requeue", "discard"):
                status, problem = await act(gateway, order_id, name)
                assert problem["code"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": ""}, "malformed-text"),
        ({"why": "x"}, "unknown-field"),
        ({"actor": 1}, "wrong-type"),
    ],
)
async def test_an_unknown_command_on_a_parked_order_is_refused(
    scene: Scene, operator: Operator, body: Any, code: str
) -> None:
    order_id = await operator.parked(PARK)
    async with gateway_of(scene) as gateway:
        for name in ("settle", "requeue", "discard"):
            status, problem = await act(gateway, order_id, name, **body)
            assert (status, problem["code"]) == (400, code)
        status, problem = await act(gateway, order_id, "requeue", signature="sig-1")
        assert (status, problem["code"]) == (400, "unknown-field")
