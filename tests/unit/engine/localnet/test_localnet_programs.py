"""The small programs against the real ones: the same transactions through solders' LiteSVM."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from solders.account import Account as SvmAccount
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import TransactionConfig
from solders.pubkey import Pubkey
from solders.transaction_metadata import FailedTransactionMetadata

from engine.localnet.execute import Outcome
from engine.localnet.node import Node
from engine.localnet.state import addresses, transaction
from engine.localnet.state.accounts import Account, token_account
from engine.localnet.state.addresses import (
    RENT_PER_BYTE_ONCE,
    TOKEN,
    rent_exempt,
    token_address,
)
from engine.localnet.state.failures import NotTaken
from stages.pools.contract import AccountUse, Instruction
from tests.support.chain.localchain import (
    AMPLE,
    LOADED_MAX,
    OWNER,
    WALLET,
    account_of,
    budget,
    close,
    create_ata,
    memo,
    mint_of,
    opened,
    signed,
    sync_native,
    token_transfer,
    transfer,
    wrap,
)

OTHER = Keypair.from_seed(bytes([9] * 32))
THEM = str(OTHER.pubkey())
NEW = Keypair.from_seed(bytes([10] * 32))
FRESH = str(NEW.pubkey())
THEIRS = token_address(THEM, mint_of("USDC"))
_SYSTEM_OWNED = 890_880


def checked(amount: int, decimals: int, mint: str = "USDC") -> Instruction:
    uses = (
        AccountUse(account_of("USDC"), writable=True),
        AccountUse(mint_of(mint)),
        AccountUse(THEIRS, writable=True),
        AccountUse(OWNER, signer=True),
    )
    return Instruction(TOKEN, uses, b"\x0c" + amount.to_bytes(8, "little") + bytes([decimals]))


def create_account(lamports: int, space: int = 165) -> Instruction:
    uses = (
        AccountUse(OWNER, signer=True, writable=True),
        AccountUse(FRESH, signer=True, writable=True),
    )
    data = bytes(4) + lamports.to_bytes(8, "little") + space.to_bytes(8, "little")
    return Instruction(addresses.SYSTEM, uses, data + addresses.raw(TOKEN))


def initialize(mint: str = "USDC") -> Instruction:
    uses = (AccountUse(FRESH, writable=True), AccountUse(mint_of(mint)))
    return Instruction(TOKEN, uses, bytes([18]) + addresses.raw(OWNER))


def create_with_seed(lamports: int, seed: str = "wrapped") -> Instruction:
    """A temporary token account of the wallet's own, as some wrap SOL."""
    uses = (
        AccountUse(OWNER, signer=True, writable=True),
        AccountUse(TEMPORARY, writable=True),
        AccountUse(OWNER, signer=True),
    )
    data = (3).to_bytes(4, "little") + addresses.raw(OWNER) + len(seed).to_bytes(8, "little")
    data += seed.encode() + lamports.to_bytes(8, "little") + (165).to_bytes(8, "little")
    return Instruction(addresses.SYSTEM, uses, data + addresses.raw(TOKEN))


TEMPORARY = str(Pubkey.create_with_seed(WALLET.pubkey(), "wrapped", Pubkey.from_string(TOKEN)))
RENT = rent_exempt(165)
INITIALIZE_TEMPORARY = Instruction(
    TOKEN,
    (AccountUse(TEMPORARY, writable=True), AccountUse(mint_of("SOL"))),
    bytes([18]) + addresses.raw(OWNER),
)
SIGNED_MEMO = Instruction(addresses.MEMO, (AccountUse(OWNER, signer=True),), b"order")
UNSIGNED_MEMO = Instruction(addresses.MEMO, (AccountUse(THEM),), b"order")
UNREADABLE_MEMO = Instruction(addresses.MEMO, (), b"\xff\xfe")
UNKNOWN_TOKEN = Instruction(TOKEN, (), bytes([77]))
NO_TOKEN_ACCOUNT = token_transfer(account_of("RAY", THEM), THEIRS, 1)
WRONG_ATA = create_ata("USDC")._replace(
    accounts=(
        *create_ata("USDC").accounts[:1],
        AccountUse(account_of("RAY"), writable=True),
        *create_ata("USDC").accounts[2:],
    )
)

CASES: dict[str, list[Instruction]] = {
    "lamports move": [transfer(THEM, 10**9)],
    "lamports to a new account": [transfer(FRESH, 10**9)],
    "more lamports than there are": [transfer(THEM, 10**17)],
    "too few lamports to live on": [transfer(FRESH, 1_000)],
    "an account is created": [create_account(RENT)],
    "an account is created twice": [create_account(RENT), create_account(RENT)],
    "an account without its rent": [create_account(RENT - 1)],
    "a token account is made": [create_account(RENT), initialize()],
    "a token account is made twice": [create_account(RENT), initialize(), initialize()],
    "a token account of what is not a mint": [create_account(RENT), initialize("SOL")],
    "an associated account is created": [create_ata("RAY", owner=THEM)],
    "an associated account is there": [create_ata("USDC")],
    "an associated account must not be there": [create_ata("USDC", idempotent=False)],
    "an associated account elsewhere": [WRONG_ATA],
    "sol is wrapped": wrap(10**9),
    "sol is wrapped and unwrapped": [*wrap(10**9), close(account_of("SOL"))],
    "a funded address becomes an associated account": [
        transfer(account_of("RAY", THEM), _SYSTEM_OWNED),
        create_ata("RAY", owner=THEM),
    ],
    "sol is wrapped for a moment": [
        create_with_seed(RENT + 5 * 10**9),
        INITIALIZE_TEMPORARY,
        close(TEMPORARY),
    ],
    "sol is wrapped for longer": [create_with_seed(RENT + 5 * 10**9), INITIALIZE_TEMPORARY],
    "an address of another seed": [create_with_seed(RENT, "other")],
    "tokens that are not native are synced": [sync_native(account_of("USDC"))],
    "tokens move": [token_transfer(account_of("USDC"), THEIRS, 5)],
    "tokens move to themselves": [token_transfer(account_of("USDC"), account_of("USDC"), 5)],
    "more tokens than there are": [token_transfer(account_of("USDC"), THEIRS, 10**18)],
    "tokens of others": [token_transfer(THEIRS, account_of("USDC"), 1)],
    "tokens of another mint": [token_transfer(account_of("USDC"), account_of("USDT"), 1)],
    "tokens out of nothing": [NO_TOKEN_ACCOUNT],
    "checked tokens move": [checked(5, 6)],
    "checked with wrong decimals": [checked(5, 7)],
    "checked with another mint": [checked(5, 6, "USDT")],
    "an account with tokens is closed": [close(account_of("USDC"))],
    "an empty account is closed": [
        token_transfer(account_of("USDC"), THEIRS, 10_000_000_000_000),
        close(account_of("USDC")),
    ],
    "an account of others is closed": [close(THEIRS, owner=OWNER)],
    "a memo": [memo("01J0000000000000000000000A")],
    "a signed memo": [SIGNED_MEMO],
    "a memo that lacks a signature": [UNSIGNED_MEMO],
    "a memo that is not text": [UNREADABLE_MEMO],
    "no such token instruction": [UNKNOWN_TOKEN],
    "what fails undoes what went before": [transfer(THEM, 10**9), UNKNOWN_TOKEN],
    "a fee for priority": [*budget(100_000, 12_345), transfer(THEM, 5)],
    "too few compute units": [*budget(1_000), create_ata("RAY", owner=THEM)],
}


CONFIGS = {
    "too few compute units": TransactionConfig(
        compute_unit_limit=1_000, loaded_accounts_data_size_limit=LOADED_MAX
    )
}
"""Of v1, where instructions of the compute budget program say nothing."""
OF_V0 = {"a fee for priority"}
"""LiteSVM charges for such an instruction in v1 as well; by SIMD-0385 it is ignored there."""


@pytest.mark.parametrize(
    ("case", "version"),
    [*((case, 0) for case in CASES), *((case, 1) for case in CASES if case not in OF_V0)],
)
def test_a_transaction_has_the_outcome_of_the_real_programs(
    case: str, version: int, tmp_path: Path
) -> None:
    instructions = CASES[case]
    config = CONFIGS.get(case, AMPLE) if version else None
    signers = [WALLET, NEW] if _signs(instructions, FRESH) else [WALLET]
    node = opened(tmp_path, rent_per_byte=RENT_PER_BYTE_ONCE)  # as the VM has it
    node.fund({THEM: Account(10**9), THEIRS: token_account(mint_of("USDC"), THEM, 100)})
    svm = _svm(node)
    raw = bytes(signed(node.bank.blocks.tip.blockhash, instructions, signers, config))
    ours, keys = _run(node, raw)
    theirs = svm.send_transaction(transaction.read(raw)[1])
    if isinstance(theirs, FailedTransactionMetadata):
        assert ours.err is not None, theirs
        assert _logs(ours.err) == _squeezed(str(theirs.err()))
    else:
        assert ours.err is None, theirs
        # The real associated-token program looks for its bump: some 1,500 units a try.
        slack = 12_000 if "associated" in case or "wrapped" in case else 60
        assert abs(ours.units - theirs.compute_units_consumed()) <= slack
    for key in keys:
        _compare(node, svm, key)
    node.store.close()


def _signs(instructions: Sequence[Instruction], address: str) -> bool:
    return any(use.signer and use.address == address for i in instructions for use in i.accounts)


def _run(node: Node, raw: bytes) -> tuple[Outcome, list[str]]:
    tx, _ = transaction.read(raw)
    try:
        outcome, view = node.bank.run(tx)
    except NotTaken as error:
        return Outcome(error.err, 0, 0, [], [], ""), []
    node.bank.take(tx, outcome, view)
    return outcome, tx.keys


def _svm(node: Node) -> LiteSVM:
    svm = LiteSVM().with_sigverify(False).with_blockhash_check(False)
    for address, account in node.bank.state.accounts.items():
        if not account.executable and len(account.data) < 1_000:
            svm.set_account(
                Pubkey.from_string(address),
                SvmAccount(account.lamports, account.data, Pubkey.from_string(account.owner)),
            )
    return svm


def _compare(node: Node, svm: LiteSVM, key: str) -> None:
    ours = node.bank.account(key)
    theirs = svm.get_account(Pubkey.from_string(key))
    if theirs is not None and theirs.executable:
        return
    assert (ours.lamports if ours else 0) == (theirs.lamports if theirs else 0), key
    if ours is not None and theirs is not None:
        assert ours.data == bytes(theirs.data), key
        assert ours.owner == str(theirs.owner)


def _logs(err: object) -> str:
    """Our error with nothing left but the words that LiteSVM's has as well."""
    if isinstance(err, str):
        return err
    assert isinstance(err, dict)
    if "InstructionError" not in err:
        return f"InsufficientFundsForRent:{err['InsufficientFundsForRent']['account_index']}"
    index, why = err["InstructionError"]
    return f"{index}:{why['Custom'] if isinstance(why, dict) else why}"


def _squeezed(text: str) -> str:
    if match := re.search(r"InsufficientFundsForRent \{ account_index: (\d+)", text):
        return f"InsufficientFundsForRent:{match[1]}"
    if match := re.search(r"\(\((\d+), .*Custom\((\d+)\)", text):
        return f"{match[1]}:{match[2]}"
    if match := re.search(r"\(\((\d+), Fieldless\((\w+)\)", text):
        return f"{match[1]}:{match[2]}"
    return text
