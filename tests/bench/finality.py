"""Figure (l): how long a fill and a proof of death take, under both models of consensus.

On a local chain with slots of their default length. A death takes the life of
a blockhash, 150 blocks, and finality: the transaction is accepted and no block ever takes it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, get_args

import msgspec

from stages.venues.consensus import Consensus
from tests.bench import children, loads
from tests.bench.chain_load import Traded
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

IN_FLIGHT, ORDERS_A_SECOND = 8, 100
SUBMITTED_P50_MS, SUBMITTED_P99_MS = 4.0, 10.0
"""On the WebSocket, so that the append is on the disk before."""
DEATH_S = 120.0
"""A transaction that is not proved dead by then is a fault."""
LOOK_S = 0.05
ORDER = b'{"tokenIn":"SOL","tokenOut":"USDC","amount":"1"}'


def by_consensus(subject: Subject, _yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(l) Fills and deaths on the local chain, by consensus."""
    figures: list[Figure] = []
    for consensus in get_args(Consensus):
        settings = {"VENUES": "raydium,meteora", "CONSENSUS": consensus}
        ours = Subject(subject.folder.with_name(f"l-{consensus}"), settings)
        try:
            figures += _figures(ours, consensus, seconds)
        finally:
            ours.stop()
    return Outcome(tuple(figures))


def _figures(ours: Subject, consensus: str, seconds: float) -> list[Figure]:
    ours.settle()
    alone = _traded(ours, 1, seconds)
    traded = _traded(ours, IN_FLIGHT, seconds)
    confirmed = traded.ends.get("confirmed", 0) / max(1, traded.orders)
    death_s = _death_s(ours)
    return [
        Figure(
            letter="l",
            what=f"POST to TransactionSubmitted, {consensus}, one in flight, p50",
            value=alone.submitted_p50_ms,
            unit="ms",
            targets=(Target("4 ms", alone.submitted_p50_ms <= SUBMITTED_P50_MS),),
            note=f"{alone.orders} orders",
        ),
        Figure(
            letter="l",
            what=f"POST to TransactionSubmitted, {consensus}, one in flight, p99",
            value=alone.submitted_p99_ms,
            unit="ms",
            targets=(Target("10 ms", alone.submitted_p99_ms <= SUBMITTED_P99_MS),),
        ),
        Figure(
            letter="l",
            what=f"POST to confirmed, {consensus}, p50",
            value=traded.p50_ms,
            unit="ms",
            targets=(Target(">= 98 % confirmed", confirmed >= 0.98),),
            note=f"{traded.orders} orders; longest {traded.max_ms:.0f} ms",
        ),
        Figure(
            letter="l",
            what=f"send to proof of death, {consensus}",
            value=death_s,
            unit="s",
            targets=(Target("proved dead", death_s < DEATH_S),),
        ),
    ]


def _traded(ours: Subject, in_flight: int, seconds: float) -> Traded:
    argv = children.own("chain_load", ours.port, in_flight, int(seconds * ORDERS_A_SECOND), seconds)
    return msgspec.json.decode(loads.watched(argv, ours.bytes_on_disk), type=Traded)


def _death_s(ours: Subject) -> float:
    """Seconds from an order to the proof that its first transaction is dead."""
    _rpc(ours, "localnet_setFaults", {"dropRate": 1})
    began_s = time.monotonic()
    order_id = ours.post("/api/orders/execute", ORDER)["orderId"]
    try:
        while (took_s := time.monotonic() - began_s) < DEATH_S:
            if ours.get(f"/api/orders/{order_id}")["attempts"]:
                break
            time.sleep(LOOK_S)
        return took_s
    finally:
        _rpc(ours, "localnet_setFaults", {"reset": True})


def _rpc(ours: Subject, method: str, *params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(  # noqa: S310  # the engine's own chain, on loopback
        ours.record.solana_rpc_url, body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # see above
        return json.load(answer)
