"""Transactions of every version, read from their bytes."""

from __future__ import annotations

from random import Random

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from stages.pools.contract import AccountUse
from stages.venues.solana.transaction.messages import (
    decode,
    instructions_of,
    is_signed_by,
    memos_of,
    payer_of,
    version_of,
)
from stages.venues.solana.transaction.programs import MEMO
from tests.support.chain.localchain import WALLET, sealed

VERSIONS = [None, 0, 1]
PAYER = str(WALLET.pubkey())
OTHER = Keypair()


def example(version: int | None) -> bytes:
    """A memo, and a program with accounts of three kinds."""
    uses = [
        AccountMeta(WALLET.pubkey(), True, True),
        AccountMeta(OTHER.pubkey(), False, True),
        AccountMeta(Pubkey.new_unique(), False, False),
    ]
    steps = [
        Instruction(Pubkey.from_string(MEMO), "añ".encode(), []),
        Instruction(Pubkey.new_unique(), b"\x01\x02", uses),
    ]
    return sealed(WALLET, steps, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_reads_the_same(version: int | None) -> None:
    raw = example(version)
    decoded = decode(raw)
    assert (decoded.version, decoded.payer, len(decoded.signatures)) == (version, PAYER, 1)
    assert memos_of(decoded.message) == ["añ"]
    [words, step] = instructions_of(decoded.message)
    assert (words.program, words.data, words.accounts) == (MEMO, "añ".encode(), ())
    assert step.data == b"\x01\x02"
    assert [(use.signer, use.writable) for use in step.accounts] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert step.accounts[1] == AccountUse(str(OTHER.pubkey()), writable=True)
    assert (payer_of(raw), version_of(raw)) == (PAYER, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_malformed_transaction_bytes_raise_a_value_error(version: int | None) -> None:
    raw = example(version)
    for other in (raw + b"\0", raw[:-1], raw[:40], b"", b"\x82" + raw[1:], b"\xff" * 300):
        with pytest.raises(ValueError):
            decode(other)


def test_no_bytes_raise_anything_but_a_value_error() -> None:
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    draw = Random(seed)
    wrong = 0
    for _ in range(5_000):
        raw = bytearray(example(draw.choice(VERSIONS)))
        for _ in range(draw.randrange(1, 4)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        some = bytes(raw[: draw.choice([len(raw), draw.randrange(len(raw))])])
        payer_of(some), version_of(some)
        try:
            decoded = decode(some)
            assert decoded.payer == (payer_of(some) or "")
            memos_of(decoded.message)
            instructions_of(decoded.message)
        except ValueError:
            wrong += 1
    assert 0 < wrong < 5_000


def test_the_payer_of_an_unknown_layout_is_unknown() -> None:
    raw = example(1)
    later = b"\x82" + raw[1:]
    assert (payer_of(later), version_of(later)) == (None, 2)
    front = example(0)
    inside = front[:65] + b"\x85" + front[66:]
    assert (payer_of(inside), version_of(inside)) == (None, 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_signature_proves_the_signer(version: int | None) -> None:
    raw = example(version)
    body = raw[:-64] if version == 1 else raw[65:]
    signature = WALLET.sign_message(body)
    assert str(signature) == decode(raw).signatures[0]
    assert is_signed_by(raw, signature, WALLET.pubkey())
    assert not is_signed_by(raw, signature, OTHER.pubkey())
    assert not is_signed_by(raw, OTHER.sign_message(body), WALLET.pubkey())
