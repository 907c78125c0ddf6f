"""Nodes go away while orders wait: no order ends of it, and none spends an attempt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import structlog

from events.types import AttemptFailed, OrderConfirmed, TransactionExpired
from stages.venues.solana.rpc.options import RpcOptions
from tests.faults.test_chain_faults import BY_HAND, FINAL, LIFETIME, SOL, blocks_until, submitted
from tests.support.chain.chain_crew import chain_crew
from tests.support.waits import until

OUTAGES = [(), ("getMultipleAccounts",), ("getLatestBlockhash",), ("simulateTransaction",)]
"""The methods that no node serves; none named: all."""
REASONS = {"quotes-stale", "pool-data-stale", "venue-unavailable"}
"""On a loaded machine quotes may be stale besides, whatever the outage is of."""


@pytest.fixture(autouse=True)
def _soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that no node serves end after a second, not after eight."""
    options = partial(RpcOptions, deadline_s=1.0, backoff_max_s=0.5)
    monkeypatch.setattr("stages.venues.solana.rpc.options.RpcOptions", options)


@pytest.mark.parametrize("methods", OUTAGES, ids=lambda methods: ",".join(methods) or "all")
async def test_an_order_waits_out_an_outage_of_all_nodes(
    redis_url: str, tmp_path: Path, methods: tuple[str, ...]
) -> None:
    """With one attempt only, which an outage used to spend."""
    async with chain_crew(redis_url, tmp_path, chain_slot_ms=20, quotes_stale_ms=300) as crew:
        await crew.engine(attempts_max=1)
        crew.local.faults(methods=methods, reject_rate=1.0)
        if "getMultipleAccounts" in (methods or ("getMultipleAccounts",)):
            await until(crew.trading.fault)
        if "getLatestBlockhash" in (methods or ("getLatestBlockhash",)):
            # Orders are built with the one that was fetched ahead, for as long as it is recent.
            await until(lambda: crew.chain()._blockhashes.known() is None)
        ids = [await crew.order("SOL", "USDC", SOL) for _ in range(3)]

        def waits() -> bool:
            return all(any(isinstance(f, AttemptFailed) for f in crew.facts(i)) for i in ids)

        await crew.until(waits)
        crew.local.well()
        assert set(await crew.ended(ids)) == {"confirmed"}
        for order_id in ids:
            waited = [f for f in crew.facts(order_id) if isinstance(f, AttemptFailed)]
            assert {fact.attempt for fact in waited} == {0}
            assert {fact.error for fact in waited} <= REASONS
            assert (await crew.head(order_id)).order.attempts == 0
        crew.assert_executed_as_recorded()


async def test_a_transaction_that_no_node_takes_spends_no_attempt(
    redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, **BY_HAND) as crew:
        crew.local.advance(FINAL)
        await crew.engine(attempts_max=1)
        crew.local.faults(methods=("sendTransaction",), reject_rate=1.0)
        with structlog.testing.capture_logs() as lines:
            [order_id] = await submitted(crew)
            await until(lambda: "rebroadcast_failed" in {line["event"] for line in lines})
        crew.local.advance(LIFETIME + FINAL + 2)
        await crew.until(lambda: "TransactionExpired" in crew.names(order_id))
        crew.local.well()
        assert await blocks_until(crew, [order_id]) == ["confirmed"]
        facts = crew.facts(order_id)
        assert [f.handed_over for f in facts if isinstance(f, TransactionExpired)] == [False]
        assert isinstance(facts[-1], OrderConfirmed)
        assert (await crew.head(order_id)).order.attempts == 0
