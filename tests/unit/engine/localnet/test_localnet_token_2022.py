"""Token-2022 of the local chain against the real program: the same transactions through LiteSVM."""

from __future__ import annotations

from pathlib import Path

import pytest
from solders.transaction_metadata import FailedTransactionMetadata

from engine.localnet.state import addresses, transaction
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import RENT_PER_BYTE_ONCE, TOKEN, TOKEN_2022, token_address
from stages.pools.contract import AccountUse, Instruction
from tests.support.chain.localchain import OWNER, mint_of, opened, signed
from tests.support.chain.token_2022_chain import issue
from tests.support.pools import token_2022 as t22
from tests.unit.engine.localnet.test_localnet_programs import (
    THEM,
    _compare,
    _logs,
    _run,
    _squeezed,
    _svm,
)

MINT = mint_of("USDC")
OURS, THEIRS = (token_address(owner, MINT, TOKEN_2022) for owner in (OWNER, THEM))
FEE = t22.transfer_fee(9_000, 77, epoch=1, older=(50, 5_000))
ALL = (
    t22.transfer_fee(137, 10**9), t22.hook(t22.NONE), t22.pausable(False), t22.METADATA_POINTER,
)  # fmt: skip


def create(owner: str = THEM, program: str = TOKEN_2022) -> Instruction:
    uses = (
        AccountUse(OWNER, signer=True, writable=True),
        AccountUse(token_address(owner, MINT, program), writable=True),
        AccountUse(owner),
        AccountUse(MINT),
        AccountUse(addresses.SYSTEM),
        AccountUse(program),
    )
    return Instruction(addresses.ATA, uses, b"\x01")


def checked(amount: int, target: str = THEIRS, decimals: int = 6) -> Instruction:
    uses = (
        AccountUse(OURS, writable=True),
        AccountUse(MINT),
        AccountUse(target, writable=True),
        AccountUse(OWNER, signer=True),
    )
    data = b"\x0c" + amount.to_bytes(8, "little") + bytes([decimals])
    return Instruction(TOKEN_2022, uses, data)


def unchecked(amount: int) -> Instruction:
    uses = (
        AccountUse(OURS, writable=True),
        AccountUse(THEIRS, writable=True),
        AccountUse(OWNER, signer=True),
    )
    return Instruction(TOKEN_2022, uses, b"\x03" + amount.to_bytes(8, "little"))


CASES: dict[str, tuple[tuple[t22.Extension, ...], list[Instruction]]] = {
    "an account without extensions": ((), [create()]),
    "an account of a mint with a fee": ((FEE,), [create()]),
    "an account of a mint with all": (ALL, [create()]),
    "an account of the other program": ((), [create(program=TOKEN)]),
    "a frozen account": ((t22.default_state(2),), [create(), checked(5)]),
    "a plain transfer": ((), [create(), checked(5), unchecked(6)]),
    "a fee that rounds up": ((FEE,), [create(), checked(201)]),
    "a fee of the smallest transfer": ((FEE,), [create(), checked(1)]),
    "a fee at its cap": ((FEE,), [create(), checked(999_999), checked(10**9)]),
    "fees add up": ((FEE,), [create(), checked(333), checked(777), checked(1_000_001)]),
    "a fee without the mint": ((FEE,), [create(), unchecked(201)]),
    "a transfer to oneself": ((FEE,), [checked(201, OURS)]),
    "all extensions at once": (ALL, [create(), checked(123_457)]),
    "more than there is": ((FEE,), [create(), checked(10**18)]),
    "wrong decimals": ((FEE,), [create(), checked(5, decimals=5)]),
    "a paused mint": ((t22.pausable(True, t22.KEY),), [create(), checked(5)]),
    "a non-transferable mint": ((t22.NON_TRANSFERABLE,), [create(), checked(5)]),
}


@pytest.mark.parametrize("case", CASES)
def test_token_2022_has_the_outcome_of_the_real_program(case: str, tmp_path: Path) -> None:
    extensions, instructions = CASES[case]
    node = opened(tmp_path, rent_per_byte=RENT_PER_BYTE_ONCE)  # as the VM has it
    node.fund({THEM: Account(10**9)})
    issue(node, "USDC", *extensions)
    svm = _svm(node)
    raw = bytes(signed(node.bank.blocks.tip.blockhash, instructions))
    ours, keys = _run(node, raw)
    theirs = svm.send_transaction(transaction.read(raw)[1])
    if isinstance(theirs, FailedTransactionMetadata):
        assert ours.err is not None, theirs
        assert _logs(ours.err) == _squeezed(str(theirs.err()))
    else:
        assert ours.err is None, theirs
    for key in keys:
        _compare(node, svm, key)
    node.store.close()
