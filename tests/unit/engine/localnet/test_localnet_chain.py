"""Blocks of the local chain: what is taken, when it is confirmed, what a fork and a restart do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.localnet.faults import Faults
from engine.localnet.landed import seen
from engine.localnet.ledger import Entry, LocalLedger
from engine.localnet.node import Failed, Node
from engine.localnet.state import transaction
from engine.localnet.state.transaction import Transaction
from tests.support.chain.localchain import OWNER, memo, opened, plan_of, sell_sol, signed, transfer

THEM = "BWaEAt9KDStwuPGpVDkKNQ6qgGyAU7ygv1cTDfYQyFYs"
SOL = 10**9


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Under TowerBFT, where a block is processed, confirmed and finalized at three times."""
    slow = opened(tmp_path, slot_ms=400, consensus="tower")
    yield slow
    slow.store.close()


@pytest.fixture
def alpenglow(tmp_path: Path) -> Iterator[Node]:
    slow = opened(tmp_path / "alpenglow", slot_ms=200)
    yield slow
    slow.store.close()


def paying(node: Node, words: str = "order", lamports: int = SOL) -> Transaction:
    blockhash = node.bank.blocks.tip.blockhash
    return transaction.read(bytes(signed(blockhash, [transfer(THEM, lamports), memo(words)])))[0]


def status(node: Node, tx: Transaction) -> str:
    landed = node.landed(tx.signature, history=True)
    return seen(node.bank.blocks, landed).status if landed else "absent"


def entries(node: Node) -> list[Entry]:
    node.save()
    ledger = LocalLedger(node.store.path)
    entries = list(ledger.entries())
    ledger.close()
    return entries


async def test_a_transaction_waits_for_its_slot_and_is_confirmed_a_block_later(node: Node) -> None:
    tx = paying(node)
    await node.send(tx, preflight=True)
    assert status(node, tx) == "absent"
    node.block()
    assert status(node, tx) == "processed"
    node.block()
    assert status(node, tx) == "confirmed"
    for _ in range(30):
        node.block()
    assert status(node, tx) == "confirmed"
    node.block()
    assert status(node, tx) == "finalized"


async def test_under_alpenglow_a_block_is_final_when_the_next_one_stands_on_it(
    alpenglow: Node,
) -> None:
    tx = paying(alpenglow)
    await alpenglow.send(tx, preflight=True)
    alpenglow.block()
    assert status(alpenglow, tx) == "processed"
    balances = [
        alpenglow.bank.account(THEM, level) for level in ("processed", "confirmed", "finalized")
    ]
    assert [account.lamports if account else 0 for account in balances] == [SOL, 0, 0]
    alpenglow.block()
    assert status(alpenglow, tx) == "finalized"
    assert alpenglow.bank.blocks.confirmed_height == alpenglow.bank.blocks.finalized_height
    assert alpenglow.bank.account(THEM, "finalized") is not None


async def test_under_alpenglow_only_a_processed_block_can_be_dropped(alpenglow: Node) -> None:
    kept, dropped = paying(alpenglow, "kept"), paying(alpenglow, "dropped")
    await alpenglow.send(kept, preflight=True)
    alpenglow.block()
    before = dict(alpenglow.bank.state.accounts)
    await alpenglow.send(dropped, preflight=True)
    alpenglow.block()
    slot = alpenglow.bank.blocks.tip.slot
    assert alpenglow.fork(9) == [dropped.signature]
    assert alpenglow.bank.state.accounts == before
    assert (status(alpenglow, kept), status(alpenglow, dropped)) == ("finalized", "absent")
    assert alpenglow.bank.blocks.tip.slot == slot + 1, "the slot of the dropped block is skipped"
    await alpenglow.send(dropped, preflight=True)
    for _ in range(2):
        alpenglow.block()
    assert status(alpenglow, dropped) == "finalized"
    assert [(entry.memo, entry.forked) for entry in entries(alpenglow)] == [
        ("kept", False), ("dropped", True), ("dropped", False)
    ]  # fmt: skip


async def test_under_alpenglow_a_delayed_confirmation_delays_finality(alpenglow: Node) -> None:
    alpenglow.luck.faults = Faults(confirm_delay=3)
    tx = paying(alpenglow)
    await alpenglow.send(tx, preflight=True)
    for _ in range(4):
        alpenglow.block()
        assert status(alpenglow, tx) == "processed"
    alpenglow.block()
    assert status(alpenglow, tx) == "finalized"
    alpenglow.luck.faults = Faults()
    alpenglow.block()
    blocks = alpenglow.bank.blocks
    assert blocks.finalized_height == blocks.tip.height - 1
    assert not any(block.before for block in list(blocks.newest)[:-1])


async def test_an_account_is_read_as_of_each_commitment(node: Node) -> None:
    await node.send(paying(node), preflight=True)
    node.block()
    balances = [node.bank.account(THEM, level) for level in ("processed", "confirmed", "finalized")]
    assert [account.lamports if account else 0 for account in balances] == [SOL, 0, 0]
    node.block()
    assert node.bank.account(THEM, "confirmed") is not None
    assert node.bank.account(THEM, "finalized") is None
    for _ in range(31):
        node.block()
    assert node.bank.account(THEM, "finalized") is not None


async def test_the_same_bytes_are_executed_once_however_often_they_are_sent(node: Node) -> None:
    tx = paying(node)
    for _ in range(3):
        await node.send(tx, preflight=False)
    node.block()
    await node.send(tx, preflight=False)
    node.block()
    with pytest.raises(Failed) as failed:
        await node.send(tx, preflight=True)
    assert failed.value.err == "AlreadyProcessed"
    assert [entry.memo for entry in entries(node)] == ["order"]


async def test_a_blockhash_lives_150_blocks_and_not_one_more(node: Node) -> None:
    last, late = paying(node, "last"), paying(node, "late")
    until = node.bank.blocks.valid_until(last.blockhash)
    while node.bank.blocks.tip.height < until - 1:
        node.block()
    await node.send(last, preflight=True)
    node.block()
    assert node.bank.blocks.tip.height == until
    assert status(node, last) == "processed"
    await node.send(late, preflight=True)  # fine in the block that is there, not in the next
    node.block()
    assert status(node, late) == "absent"
    with pytest.raises(Failed) as failed:
        await node.send(late, preflight=True)
    assert failed.value.err == "BlockhashNotFound"


async def test_a_failing_transaction_fails_its_preflight_and_lands_as_failed_without(
    node: Node,
) -> None:
    tx = paying(node, lamports=10**18)
    with pytest.raises(Failed):
        await node.send(tx, preflight=True)
    await node.send(tx, preflight=False)
    before = node.bank.state.accounts[OWNER].lamports
    node.block()
    assert node.bank.state.accounts[OWNER].lamports == before - 5_000
    (entry,) = entries(node)
    assert (entry.ok, entry.error) == (False, '{"InstructionError": [0, {"Custom": 1}]}')


async def test_a_fork_undoes_the_dropped_blocks_but_no_finalized_ones(node: Node) -> None:
    for _ in range(40):
        node.block()
    kept = paying(node, "kept")
    await node.send(kept, preflight=True)
    node.block()
    swap = sell_sol(node, plan_of("meteora-dlmm"), 900 * SOL, "dropped")
    dropped = transaction.read(bytes(signed(node.bank.blocks.tip.blockhash, swap)))[0]
    accounts = dict(node.bank.state.accounts)
    await node.send(dropped, preflight=True)
    for _ in range(2):
        node.block()
    assert status(node, dropped) == "confirmed"
    height = node.bank.blocks.tip.height
    assert node.fork(2) == [dropped.signature]
    assert status(node, dropped) == "absent"
    assert status(node, kept) == "confirmed"
    assert node.bank.state.accounts == accounts
    assert node.bank.blocks.tip.height == height - 1
    assert [(entry.memo, entry.forked) for entry in entries(node)] == [
        ("kept", False), ("dropped", True)
    ]  # fmt: skip
    # The same bytes may land again while their blockhash is on the chain.
    await node.send(dropped, preflight=True)
    node.block()
    assert [(entry.memo, entry.forked) for entry in entries(node)][1:] == [
        ("dropped", True), ("dropped", False)
    ]  # fmt: skip
    final = node.bank.blocks.finalized_height
    node.fork(1_000)
    assert node.bank.blocks.tip.height == final + 1


async def test_automatic_forks_do_not_stop_the_chain(tmp_path: Path) -> None:
    for consensus, least, most in (("tower", 20, 60), ("alpenglow", 99, 101)):
        forking = Faults(fork_every=5, fork_depth=3)
        node = opened(tmp_path / consensus, slot_ms=400, consensus=consensus, faults=forking)
        height = node.bank.blocks.tip.height
        for _ in range(100):
            node.block()
        assert least < node.bank.blocks.tip.height - height < most
        assert node.bank.slot > height + 110, "slots were skipped"
        node.store.close()


@pytest.mark.parametrize("consensus", ["alpenglow", "tower"])
async def test_a_restarted_chain_continues_where_it_stopped(consensus: str, tmp_path: Path) -> None:
    """Under either consensus, whichever it was made under: its blocks are final then."""
    node = opened(tmp_path, slot_ms=400, consensus="tower")
    swap = sell_sol(node, plan_of("raydium-clmm"), SOL, "before")
    old = transaction.read(bytes(signed(node.bank.blocks.tip.blockhash, swap)))[0]
    await node.send(old, preflight=True)
    node.block()
    accounts, tip = dict(node.bank.state.accounts), node.bank.blocks.tip
    genesis = node.store.meta("genesis")
    node.store.close()  # nothing else is done at its end: as good as a kill
    again = opened(tmp_path, slot_ms=400, consensus=consensus)
    assert again.store.meta("genesis") == genesis
    assert (again.bank.slot, again.bank.blocks.tip.height) == (tip.slot + 1, tip.height + 1)
    assert again.bank.state.accounts == accounts
    assert status(again, old) == "finalized"
    assert again.fork(9) == [], "what its blocks changed is not in the file: none can be undone"
    assert again.bank.state.accounts == accounts
    assert again.bank.blocks.valid_until(old.blockhash) > tip.height
    with pytest.raises(Failed):
        await again.send(old, preflight=True)
    again.store.close()


async def test_history_outlives_the_recent_blocks(node: Node) -> None:
    tx = paying(node)
    await node.send(tx, preflight=True)
    for _ in range(520):
        node.block()
    assert node.landed(tx.signature, history=False) is None
    assert status(node, tx) == "finalized"


@pytest.mark.parametrize(
    ("consensus", "at_once"), [("alpenglow", "finalized"), ("tower", "confirmed")]
)
async def test_without_slots_a_transaction_is_confirmed_when_its_send_is_answered(
    consensus: str, at_once: str, tmp_path: Path
) -> None:
    node = opened(tmp_path, consensus=consensus)
    tx = paying(node)
    await node.send(tx, preflight=True)
    assert status(node, tx) == at_once
    assert [entry.memo for entry in entries(node)] == ["order"]
    node.store.close()
