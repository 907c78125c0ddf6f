"""Transactions of version 1 on the local chain: what they may load and use, pay, and be refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.keypair import Keypair
from solders.message import MessageHeader, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from engine.localnet.execute import Outcome
from engine.localnet.genesis.programs import FAMILY_BYTES, FIXED
from engine.localnet.node import Node
from engine.localnet.state import addresses, transaction
from engine.localnet.state.failures import NotTaken
from engine.localnet.state.loaded import loaded_bytes, programdata_of
from stages.pools.contract import Instruction
from tests.support.chain.localchain import (
    AMPLE,
    FAMILY_NAMES,
    LOADED_MAX,
    OWNER,
    WALLET,
    memo,
    opened,
    plan_of,
    sell_sol,
    signed,
    transfer,
)

SOL = 10**9
THEM = str(Keypair.from_seed(bytes([9] * 32)).pubkey())
PRIORITY = 12_345
TOO_MUCH = "MaxLoadedAccountsDataSizeExceeded"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    chain = opened(tmp_path)
    yield chain
    chain.store.close()


def config(units: int | None = 400_000, loaded: int | None = LOADED_MAX) -> TransactionConfig:
    return TransactionConfig(PRIORITY, units, loaded)


def loaded_limit(size: int) -> Instruction:
    """The instruction of v0."""
    return Instruction(addresses.COMPUTE_BUDGET, (), b"\x04" + size.to_bytes(4, "little"))


def run(
    node: Node, instructions: Sequence[Instruction], terms: TransactionConfig | None
) -> Outcome:
    """Take a transaction into the newest block. Raises NotTaken."""
    raw = bytes(signed(node.bank.blocks.tip.blockhash, instructions, config=terms))
    tx, _ = transaction.read(raw)
    outcome, view = node.bank.run(tx)
    node.bank.take(tx, outcome, view)
    return outcome


def lamports(node: Node, address: str = OWNER) -> int:
    account = node.bank.account(address)
    return account.lamports if account else 0


def test_the_loaded_data_is_every_account_and_its_program_data(node: Node) -> None:
    plan = plan_of("raydium-clmm")
    get = node.bank.state.accounts.get
    program = get(plan.program)
    assert program is not None
    behind = programdata_of(program)
    keys = [OWNER, THEM, plan.program, addresses.MEMO]
    sizes = (64 + 0, 0, 64 + 36 + 64 + FAMILY_BYTES["raydium-clmm"], 64 + FIXED[addresses.MEMO])
    assert loaded_bytes(keys, get) == sum(sizes)
    assert loaded_bytes([*keys, behind], get) == sum(sizes), "counted once"
    assert loaded_bytes([addresses.CLOCK_SYSVAR], get) == 64 + 40


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_swap_loads_at_least_its_program(node: Node, family: str) -> None:
    outcome = run(node, sell_sol(node, plan_of(family), SOL)[2:], config())
    assert outcome.err is None
    assert outcome.loaded > FAMILY_BYTES[family]


@pytest.mark.parametrize("version", [0, 1])
def test_a_limit_is_kept_to_the_byte(node: Node, version: int) -> None:
    instructions = sell_sol(node, plan_of("raydium-cpmm"), SOL)[2:]

    def limited(size: int) -> Outcome:
        if version == 1:
            return run(node, instructions, config(loaded=size))
        return run(node, [loaded_limit(size), *instructions], None)

    # The limit of v0 is an instruction of a program, whose account is loaded too.
    loaded = limited(LOADED_MAX).loaded
    before = lamports(node)
    refused = limited(loaded - 1)
    assert (refused.err, refused.loaded, refused.units) == (TOO_MUCH, loaded - 1, 0)
    assert before - lamports(node) == refused.fee == 5_000 + PRIORITY * version
    assert limited(loaded).err is None


def test_without_a_limit_nothing_may_be_loaded_and_the_fee_is_charged(node: Node) -> None:
    for loaded in (None, 0):
        before = lamports(node)
        outcome = run(node, [transfer(THEM, SOL), memo("order")], config(loaded=loaded))
        assert (outcome.err, outcome.fee) == (TOO_MUCH, 5_000 + PRIORITY)
        assert (lamports(node), lamports(node, THEM)) == (before - 5_000 - PRIORITY, 0)
        assert outcome.memo == "order", "a history names the memo of what was not executed"
        node.block()


def test_a_limit_of_nothing_is_refused_in_v0(node: Node) -> None:
    with pytest.raises(NotTaken, match="InvalidLoadedAccountsDataSizeLimit"):
        run(node, [loaded_limit(0), transfer(THEM, SOL)], None)


def test_without_compute_units_nothing_can_be_executed(node: Node) -> None:
    outcome = run(node, [transfer(THEM, SOL)], config(units=None))
    assert outcome.err == {"InstructionError": [0, "ComputationalBudgetExceeded"]}
    assert outcome.fee == 5_000 + PRIORITY


def test_the_priority_fee_is_in_lamports_and_paid_on_failure_too(node: Node) -> None:
    before = lamports(node)
    assert run(node, [transfer(THEM, SOL)], config(units=1_000_000)).fee == 5_000 + PRIORITY
    assert before - lamports(node) == SOL + 5_000 + PRIORITY
    failed = run(node, [transfer(THEM, 10**17)], config())
    assert failed.err == {"InstructionError": [0, {"Custom": 1}]}
    assert before - lamports(node) == SOL + 2 * (5_000 + PRIORITY)


def test_instructions_of_the_compute_budget_program_do_nothing_in_v1(node: Node) -> None:
    program = addresses.COMPUTE_BUDGET
    odd = [
        Instruction(program, (), b"\x02" + (1).to_bytes(4, "little")),
        Instruction(program, (), b"\x02" + (1).to_bytes(4, "little")),
        Instruction(program, (), b"\x03" + (10**12).to_bytes(8, "little")),
        Instruction(program, (), b"\x04" + bytes(4)),
        Instruction(program, (), b"\xff\xff"),
    ]
    plain = run(node, [transfer(THEM, SOL)], config())
    outcome = run(node, [*odd, transfer(THEM, SOL)], config())
    assert (outcome.err, outcome.fee) == (None, 5_000 + PRIORITY)
    assert outcome.units == plain.units + 150 * len(odd)


def message(
    addresses_: int = 3, *, steps: int = 1, signers: int = 1, data: int = 0, **terms: Any
) -> MessageV1:
    """A message of so many parts."""
    keys = [WALLET.pubkey(), *(Pubkey.new_unique() for _ in range(addresses_ - 1))]
    inside = [CompiledInstruction(1, bytes(data), bytes([0])) for _ in range(steps)]
    given = TransactionConfig(compute_unit_limit=1, **terms)
    return MessageV1(MessageHeader(signers, 0, 0), given, Hash.default(), keys, inside)


def raw_of(message_v1: MessageV1) -> bytes:
    count = message_v1.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message_v1, [Signature.default()] * count))


def twice(message_v1: MessageV1) -> MessageV1:
    keys = [*message_v1.account_keys[:-1], message_v1.account_keys[0]]
    return MessageV1(
        message_v1.header, message_v1.config, Hash.default(), keys, message_v1.instructions
    )


PADDING = transaction.V1_BYTES_MAX - len(raw_of(message()))


@pytest.mark.parametrize(
    "raw",
    [
        raw_of(message(64)),
        raw_of(message(steps=64)),
        raw_of(message(12, signers=12)),
        raw_of(message(heap_size=32 * 1024)),
        raw_of(message(data=PADDING)),
    ],
    ids=["64 addresses", "64 instructions", "12 signatures", "heap", "4,096 bytes"],
)
def test_a_message_at_the_limits_of_the_format_is_read(raw: bytes) -> None:
    assert transaction.read(raw)[0].version == 1


@pytest.mark.parametrize(
    "raw",
    [
        raw_of(message(65)),
        raw_of(message(steps=65)),
        raw_of(message(13, signers=13)),
        raw_of(message(heap_size=31 * 1024)),
        raw_of(message(heap_size=32 * 1024 + 1)),
        raw_of(twice(message())),
        raw_of(message()) + b"\0",
    ],
    ids=["65 addresses", "65 instructions", "13 signatures", "small heap", "odd heap", "address"
         " twice", "bytes behind"],
)  # fmt: skip
def test_a_message_outside_the_format_is_refused(raw: bytes) -> None:
    with pytest.raises(NotTaken, match="SanitizeFailure"):
        transaction.read(raw)


def test_every_version_has_its_size() -> None:
    with pytest.raises(ValueError, match=r"4097 bytes \(max: 4096 bytes\)"):
        transaction.read(raw_of(message(data=PADDING + 1)))
    blockhash = str(Hash.default())
    for words in range(1_000, 1_300):
        raw = bytes(signed(blockhash, [memo("x" * words)]))
        if len(raw) <= 1_232:
            assert transaction.read(raw)[0].version == 0
        else:
            with pytest.raises(ValueError, match=r"1233 bytes \(max: 1232 bytes\)"):
                transaction.read(raw)
            break
    large = bytes(signed(blockhash, [memo("x" * 1_300)], config=AMPLE))
    assert transaction.read(large)[0].config == AMPLE


def test_every_signature_of_v1_is_checked(node: Node) -> None:
    good = signed(node.bank.blocks.tip.blockhash, [transfer(THEM, 1)], config=AMPLE)
    assert transaction.verify(transaction.read(bytes(good))[1])
    bad = bytes(good)[:-1] + bytes([bytes(good)[-1] ^ 1])
    assert not transaction.verify(transaction.read(bad)[1])


def test_programs_and_features_are_never_stored(tmp_path: Path) -> None:
    first = opened(tmp_path)
    plan = plan_of("meteora-dlmm")
    run(first, [transfer(THEM, SOL)], AMPLE)
    first.block()
    assert not {plan.program, addresses.TOKEN, addresses.TX_V1} & first.store.accounts().keys()
    first.store.close()
    without = opened(tmp_path, transaction_v1=False)
    assert plan.program in without.bank.state.accounts
    assert (without.bank.takes(0), without.bank.takes(None)) == (True, True)
    assert not without.bank.takes(1)
    assert without.bank.account(addresses.TX_V1) is None
    without.store.close()
