"""Audits over HTTP: what was true at a moment, proofs, and a verdict on all records."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from engine import cli
from events.audit.proof import faults_of
from events.hash_chain import link
from events.secret import SecretUrl
from gateway.api.audits import StoreUrls
from projections.postgres.migrate import migrated
from tests.support.http.served import served
from tests.support.processes.engine_up import Engine
from tests.support.waits import HANG_S, until


@pytest.fixture(scope="module", autouse=True)
async def orders(engine: Engine) -> None:
    await engine.ended(await engine.submit_many(20))


async def history(engine: Engine, order_id: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = (await engine.get(f"/api/orders/{order_id}/events")).body[
        "events"
    ]
    return results


async def proof(engine: Engine) -> dict[str, Any]:
    order_id = await engine.submit(key=secrets.token_hex(8))
    await engine.ended([order_id])
    answer = await engine.get(f"/api/audit/orders/{order_id}/proof")
    assert answer.status == 200
    return dict(answer.body)


async def test_an_order_is_shown_as_it_was_after_each_of_its_events(engine: Engine) -> None:
    order_id = await engine.submit(key=secrets.token_hex(8))
    await engine.ended([order_id])
    events = await history(engine, order_id)
    for number, event in enumerate(events):
        for at in (event["position"], event["timestamp"]):
            answer = await engine.get(f"/api/audit/orders/{order_id}?at={at}")
            order = answer.body["order"]
            if at == event["position"]:
                assert (order["status"], order["version"]) == (event["status"], number + 1)
    before = await engine.get(f"/api/audit/orders/{order_id}?at={events[0]['position'] - 1}")
    assert (before.body["order"], before.body["following"]) == (None, events[0]["position"])
    now = await engine.get(f"/api/audit/orders/{order_id}")
    shown = (await engine.get(f"/api/orders/{order_id}")).body
    assert now.body["order"] == shown


async def test_orders_are_counted_by_status_at_any_position(engine: Engine) -> None:
    folded: dict[str, str] = {}
    frames = list(engine.frames)
    middle = len(frames) // 2
    for frame in frames[:middle]:
        folded[frame["orderId"]] = frame["status"]
    answer = await engine.get(f"/api/audit/state?at={frames[middle - 1]['position']}")
    assert answer.body["position"] == frames[middle - 1]["position"]
    assert answer.body["orders"] == len(folded)
    statuses = list(folded.values())
    assert answer.body["statuses"] == {s: statuses.count(s) for s in set(statuses)}
    for at in ("0", "x", "-1"):
        assert (await engine.get(f"/api/audit/state?at={at}")).status == 400


async def test_verify_streams_its_progress_and_its_verdict(engine: Engine) -> None:
    names, verdict = [], {}
    async with engine.http.get(engine.url + "/api/audit/verify") as answer:
        assert answer.content_type == "text/event-stream"
        async for line in answer.content:
            if line.startswith(b"event: "):
                names.append(line[7:].strip().decode())
            elif line.startswith(b"data: "):
                verdict = json.loads(line[6:])
    assert names[-1] == "verdict"
    assert "progress" in names
    assert (verdict["sound"], verdict["problems"]) == (True, [])
    assert verdict["events"] >= 20 * 6


async def test_audits_run_one_at_a_time_and_a_disconnect_ends_an_audit(
    redis_url: str, database_url: str
) -> None:
    await migrated(database_url, asyncio.Event())
    async with served(
        redis_url, records=StoreUrls(SecretUrl(redis_url), SecretUrl(database_url))
    ) as gateway:
        verify, state = f"{gateway.url}/api/audit/verify", "/api/audit/state"
        with patch("gateway.api.audits.TURN_S", HANG_S):
            async with gateway.http.get(verify):
                assert (await gateway.get(state))[0] == 200, "it waits for its turn"
        with patch("gateway.api.audits.TURN_S", 0.0):
            async with gateway.http.get(verify):
                status, body = await gateway.get(state)
                assert (status, body["code"]) == (503, "audit-busy")

            async def free() -> bool:
                return (await gateway.get(state))[0] == 200

            await until(free)


async def test_a_proof_holds_and_never_has_the_signed_bytes(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = await proof(engine)
    assert faults_of(document) == []
    built = [event for event in document["events"] if event["event"] == "TransactionBuilt"]
    assert [event["body"] for event in built] == [None]
    seen = await history(engine, document["orderId"])
    assert [e["hash"] for e in seen] == [e["hash"] for e in document["events"]]
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(document))
    assert await asyncio.to_thread(cli.main, ["audit", "check-proof", str(path)]) == 0
    assert "the chain holds" in capsys.readouterr().out


def _changed(document: dict[str, Any], number: int) -> None:
    body = bytearray(base64.b64decode(document["events"][number]["body"]))
    body[-1] ^= 1
    document["events"][number]["body"] = base64.b64encode(body).decode()


def _relabelled(document: dict[str, Any]) -> None:
    document["events"][0]["event"] = "OrderCancelled"


def _swapped(document: dict[str, Any]) -> None:
    events = document["events"]
    events[1], events[2] = events[2], events[1]


def _cut(document: dict[str, Any]) -> None:
    del document["events"][0]


def _forged(document: dict[str, Any]) -> None:
    """Another order, rehashed up to the event whose bytes are withheld."""
    previous = bytes(32)
    for event in document["events"]:
        if event["body"] is None:
            return
        body = base64.b64decode(event["body"]).replace(b"USDC", b"USDT")
        previous = link(previous, body)
        event["body"], event["hash"] = base64.b64encode(body).decode(), previous.hex()


def _hidden(document: dict[str, Any]) -> None:
    document["events"][-1].update(body=None, withheld="x", bodyHash="00" * 32)


def _claimed(document: dict[str, Any]) -> None:
    """An end that never was, as if its bytes were secret."""
    last = document["events"][-1]
    body = base64.b64decode(last["body"])
    document["events"][-1] = last | {
        "event": "OrderFailed", "body": None, "withheld": "x", "bodyHash": sha256(body).hexdigest(),
    }  # fmt: skip


@pytest.mark.parametrize(
    "harm",
    [lambda d: _changed(d, 0), lambda d: _changed(d, 2), _relabelled, _swapped, _cut, _forged,
     _hidden, _claimed,
     lambda d: d.update(orderId="01900000-0000-7000-8000-000000000001"),
     lambda d: d.update(events=[]), lambda d: d["events"][1].update(hash="00")],
)  # fmt: skip
async def test_a_changed_proof_is_detected(engine: Engine, harm: Any) -> None:
    document = await proof(engine)
    harm(document)
    assert faults_of(document) != []
