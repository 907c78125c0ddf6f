"""Whatever is sent: lamports and tokens are neither made nor lost, and the chain lives on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.transaction import VersionedTransaction

from engine.localnet.node import Node
from engine.localnet.state import transaction
from engine.localnet.state.accounts import amount_of, is_token_account
from engine.localnet.state.addresses import raw
from engine.localnet.state.failures import NotTaken
from stages.pools.contract import Instruction
from tests.support.chain.localchain import (
    FAMILY_NAMES,
    LOADED_MAX,
    WALLET,
    account_of,
    budget,
    close,
    create_ata,
    memo,
    mint_of,
    opened,
    plan_of,
    sell_sol,
    signed,
    swap,
    token_transfer,
    transfer,
    wrap,
)

SEED = 20_261_122
TRIES = 1_500
SOL = 10**9


def worth(node: Node) -> tuple[int, Counter[bytes]]:
    """All lamports, and all tokens by mint."""
    node.bank.flush()
    lamports, tokens = 0, Counter[bytes]()
    for account in node.bank.state.accounts.values():
        lamports += account.lamports
        if is_token_account(account):
            tokens[account.data[:32]] += amount_of(account)
    return lamports, tokens


def sensible(node: Node, draw: Random) -> list[Instruction]:
    plan = plan_of(draw.choice(FAMILY_NAMES))
    amount = draw.choice((1, 1_000, SOL, 900 * SOL, 10**15))
    return draw.choice(
        [
            sell_sol(node, plan, min(amount, 10_000 * SOL)),
            [*budget(), *wrap(SOL), swap(node, plan, "SOL", amount, exact_out=True)],
            [create_ata("SOL"), swap(node, plan, "USDC", amount)],
            [transfer(account_of("RAY"), amount), memo("x")],
            [token_transfer(account_of("USDC"), account_of("USDC"), amount)],
            [*wrap(SOL), close(account_of("SOL")), close(account_of("JUP"))],
        ]
    )


def twisted(signed_one: VersionedTransaction, draw: Random) -> VersionedTransaction:
    """The same with a byte of data, an account or an order changed."""
    message = signed_one.message
    steps = [(i.program_id_index, bytearray(i.data), bytearray(i.accounts))
             for i in message.instructions]  # fmt: skip
    for _ in range(draw.randint(1, 3)):
        _, data, accounts = draw.choice(steps)
        if data and draw.random() < 0.5:
            data[draw.randrange(len(data))] = draw.randrange(256)
        elif accounts and draw.random() < 0.8:
            accounts[draw.randrange(len(accounts))] = draw.randrange(len(message.account_keys))
        elif accounts:
            accounts.pop()
    if draw.random() < 0.2:
        draw.shuffle(steps)
    compiled = [CompiledInstruction(p, bytes(d), bytes(a)) for p, d, a in steps]
    parts = (message.header, message.account_keys, message.recent_blockhash, compiled)
    if draw.random() < 0.2:
        header = message.header
        legacy = Message.new_with_compiled_instructions(
            header.num_required_signatures, header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts, message.account_keys, Hash.default(), compiled,
        )  # fmt: skip
        return VersionedTransaction(legacy, [WALLET])
    if draw.random() < 0.3:
        config = TransactionConfig(
            draw.choice((None, 0, 7, SOL)),
            draw.choice((None, 1_000, 400_000)),
            draw.choice((None, 1_000_000, LOADED_MAX)),
        )
        header, keys, blockhash, _ = parts
        return VersionedTransaction(MessageV1(header, config, blockhash, keys, compiled), [WALLET])
    return VersionedTransaction(MessageV0(*parts, []), [WALLET])


def test_no_transaction_creates_or_destroys_money(tmp_path: Path) -> None:
    print("seed", SEED)
    draw, node = Random(SEED), opened(tmp_path)
    before, tokens = worth(node)
    paid, ends = 0, Counter[str]()
    for number in range(TRIES):
        whole = signed(node.bank.blocks.tip.blockhash, sensible(node, draw))
        sent = whole if draw.random() < 0.3 else twisted(whole, draw)
        try:
            tx, _ = transaction.read(bytes(sent))
            outcome, view = node.bank.run(tx)
        except (NotTaken, ValueError):
            ends["refused"] += 1
            continue
        node.bank.take(tx, outcome, view)
        paid += outcome.fee
        ends["failed" if outcome.err else "done"] += 1
        if number % 25 == 0:
            now, held = worth(node)
            assert now == before - paid
            held.subtract(tokens)
            native = held.pop(_raw("SOL"), 0)
            assert not any(held.values()), held
            tokens[_raw("SOL")] += native  # wrapped SOL comes and goes; lamports were counted
    assert min(ends["done"], ends["failed"]) > TRIES // 10, ends
    node.store.close()


def _raw(symbol: str) -> bytes:
    return raw(mint_of(symbol))
