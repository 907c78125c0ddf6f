"""Beside a chain: a parked order is closed by the record of the transaction that executed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from engine.recovery.chain_history import open_wallet
from engine.recovery.settle import settle
from events.archive import Archive
from events.archive.history import order_history
from events.commands import parked
from events.log import EventLog, Stored
from events.order import Transaction, executed_reason
from events.secret import SecretBytes
from events.types import (
    OrderConfirmed,
    OrderFailed,
    OrderParked,
    TransactionRecovered,
    TransactionSubmitted,
)
from stages.venues import Built
from stages.venues.solana.transaction.messages import decode
from stages.venues.solana.transaction.programs import MEMO
from tests.support.chain.chain_crew import SOL, ChainCrew, assert_sound, chain_crew
from tests.support.chain.localchain import OWNER, WALLET, plan_of, sealed
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import until

STRANGER = Keypair()
BUG = OrderParked("router", "a bug", "engine")


class Operator:
    """Where an operator sits."""

    def __init__(self, crew: ChainCrew, log: EventLog, archive: Archive) -> None:
        self.crew = crew
        self.log = log
        self.archive = archive

    async def history(self, order_id: str) -> Sequence[Stored]:
        return await order_history(self.archive, self.log, order_id)

    async def settle(self, order_id: str, signature: str = "") -> parked.Settled:
        wallet = open_wallet(self.crew.settings)
        try:
            return await settle(
                self.log, self.archive, self.history, wallet, order_id,
                signature=signature, reason="by the record", actor="ann",
            )  # fmt: skip
        finally:
            await wallet.close()

    async def refused(self, order_id: str, signature: str = "") -> str:
        """The code."""
        with pytest.raises(parked.NotSettled) as caught:
            await self.settle(order_id, signature)
        return caught.value.code

    async def built(self, **fields: Any) -> tuple[str, Transaction]:
        """An order and the unsent transaction that was built for it."""
        workers = [await self.crew.worker(name) for name in ("router", "builder")]
        order_id = await self.crew.order("SOL", "USDC", SOL, **fields)
        await self.crew.until(lambda: len(self.crew.names(order_id)) == 4)
        for worker in workers:
            await worker.stop()
        transaction = (await self.crew.head(order_id)).order.transaction
        assert transaction is not None
        return order_id, transaction

    async def final(self) -> None:
        """What the chain has is finalized."""
        self.crew.local.advance(40)

    async def facts(self, order_id: str) -> list[Any]:
        return [stored.record.event().fact for stored in await self.history(order_id)]


async def test_an_order_is_settled_by_its_own_transaction_with_the_amounts_it_moved(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with (
        chain_crew(redis_url, tmp_path, chain_consensus="tower") as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        order_id, transaction = await operator.built()
        fact = OrderParked("repair", executed_reason([transaction.signature]), "engine")
        await crew.append(order_id, fact)
        assert await operator.refused(order_id) == "transaction-not-found"
        before = crew.local.holdings()
        await crew.chain().send([transaction.raw])
        await until(lambda: order_id in crew.executions())
        assert await operator.refused(order_id) == "transaction-not-finalized"
        await operator.final()
        done = (await operator.settle(order_id)).order
        [entry] = [item for item in crew.local.entries() if item.signature == transaction.signature]
        assert (done.status, done.parked) == ("confirmed", "")
        assert (done.amount_out, done.fee_lamports) == (entry.amount_out, entry.fee)
        assert len(done.fills) == len(done.legs) > 0
        assert [fill.pool for fill in done.fills] == [leg.pool for leg in done.legs]
        await crew.until(lambda: crew.names(order_id)[-1] == "OrderConfirmed")
        gone = before - crew.local.holdings()
        books = crew.books()
        assert {mint: amount for mint, amount in books.items() if amount > 0} == dict(gone)
        crew.assert_executed_as_recorded()
        again = await operator.settle(order_id)
        assert (again.already, again.order) == (True, done)
    await assert_sound(redis_url, database_url)


async def test_a_transaction_without_an_order_id_settles_one_matching_order_only(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        chain_crew(redis_url, tmp_path) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        with monkeypatch.context() as patch:
            patch.setattr("stages.venues.solana.chain.memo_of", lambda *_: "by hand")
            first, transaction = await operator.built()
        signature = transaction.signature
        await crew.chain().send([transaction.raw])
        await operator.final()
        orders = {
            "more": await crew.order("SOL", "USDC", SOL + 1),
            "other": await crew.order("SOL", "USDT", SOL),
            "dear": await crew.order("SOL", "USDC", SOL, min_amount_out=10**12),
            "fits": await crew.order("SOL", "USDC", SOL),
            "second": await crew.order("SOL", "USDC", SOL),
        }
        for order_id in (*orders.values(), first):
            await crew.append(order_id, BUG)
        for name in ("more", "other", "dear"):
            assert await operator.refused(orders[name], signature) == "transaction-does-not-fit"
        assert await operator.refused(orders["fits"], signature) == "transaction-of-another-order"
        await parked.discard(log, operator.history, first, "by hand", "ann")
        assert await operator.refused(orders["fits"], signature) == "archive-behind"
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        # The archive knows for whom it was signed.
        assert await operator.refused(orders["fits"], signature) == "transaction-of-another-order"
    await assert_sound(redis_url, database_url)


async def test_a_transaction_of_another_route_brings_its_own_fills(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        chain_crew(redis_url, tmp_path) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        built: list[Built] = []
        order_id = await crew.order("SOL", "USDC", SOL)
        workers = [await crew.worker(name) for name in ("router", "builder")]
        await crew.until(lambda: len(crew.names(order_id)) == 4)
        for worker in workers:
            await worker.stop()
        head = await crew.head(order_id)
        await crew.append(order_id, BUG)
        # By hand, without the ID of an order in it, and never recorded in the log.
        with monkeypatch.context() as patch:
            patch.setattr("stages.venues.solana.chain.memo_of", lambda *_: "by hand")
            built.append(await crew.chain().build_asking(head.order))
        await crew.chain().send([built[0].raw])
        await operator.final()
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        done = (await operator.settle(order_id, built[0].signature)).order
        assert (done.status, done.signature) == ("confirmed", built[0].signature)
        assert done.legs == ()
        assert [fill.pool for fill in done.fills] == [leg.pool for leg in head.order.legs]
        assert {(fill.token_in, fill.decimals_in) for fill in done.fills[:1]} == {("SOL", 9)}
        recovered, confirmed = (await operator.facts(order_id))[-2:]
        assert isinstance(recovered, TransactionRecovered)
        assert isinstance(confirmed, OrderConfirmed)
        assert confirmed.amount_out > 0
        # No second order gets it, before and after it is archived.
        second = await crew.order("SOL", "USDC", SOL)
        await crew.append(second, BUG)
        assert await operator.refused(second, built[0].signature) == "archive-behind"
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        refused = await operator.refused(second, built[0].signature)
        assert refused == "transaction-of-another-order"
    await assert_sound(redis_url, database_url)


async def test_transactions_of_other_payers_and_without_a_swap_settle_no_order(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with (
        chain_crew(redis_url, tmp_path, chain_wallets=(OWNER, str(STRANGER.pubkey()))) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        order_id = await crew.order("SOL", "USDC", SOL)
        await crew.append(order_id, BUG)
        assert await operator.refused(order_id, "no-signature") == "malformed-signature"
        assert await operator.refused(order_id) == "signature-needed"
        assert await operator.refused(order_id, str(Signature.default())) == "transaction-not-found"
        for payer, code in (
            (STRANGER, "transaction-of-another-wallet"),
            (WALLET, "amounts-unclear"),
        ):
            recent = Hash.from_string(crew.local.node.bank.blocks.tip.blockhash)
            note = Instruction(Pubkey.from_string(MEMO), order_id.encode(), [])
            raw = sealed(payer, [note], 1, recent)
            await crew.chain().send([SecretBytes(raw)])
            await operator.final()
            assert await operator.refused(order_id, decode(raw).signatures[0]) == code


async def test_a_transaction_that_failed_on_chain_fails_the_order_with_its_fee(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    plan = plan_of("raydium-clmm")
    pools = {plan.pair: [plan.address]}
    async with (
        chain_crew(redis_url, tmp_path, pools=pools) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        order_id, transaction = await operator.built()
        await crew.append(order_id, TransactionSubmitted(1, transaction.signature))
        crew.local.others_swap(plan, "SOL", 30_000 * SOL)
        await crew.chain().send([transaction.raw])
        await crew.append(order_id, OrderParked("confirmer", "a bug", "engine"))
        await operator.final()
        done = (await operator.settle(order_id)).order
        assert (done.status, done.reason, done.failed_stage) == (
            "failed", "slippage-exceeded", "operator",
        )  # fmt: skip
        assert done.fee_lamports > 0
        last = (await operator.facts(order_id))[-1]
        assert isinstance(last, OrderFailed)
        assert (last.actor, last.attempts) == ("ann", 1)
    await assert_sound(redis_url, database_url)


async def test_an_order_fails_once_its_transaction_is_proved_dead_and_not_before(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with (
        chain_crew(redis_url, tmp_path) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        operator = Operator(crew, log, archive)
        order_id, transaction = await operator.built()
        await crew.append(order_id, TransactionSubmitted(1, transaction.signature))
        await crew.append(order_id, OrderParked("confirmer", "a bug", "engine"))
        assert await operator.refused(order_id) == "transaction-not-found"
        crew.local.advance(400)
        done = (await operator.settle(order_id)).order
        assert (done.status, done.reason) == ("failed", "transaction-expired")
    await assert_sound(redis_url, database_url)
