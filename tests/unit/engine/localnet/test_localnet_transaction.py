"""What no block accepts, whatever it would do: each malformed transaction with a node's error."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageAddressTableLookup, MessageHeader, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from engine.localnet.state.failures import NotTaken
from engine.localnet.state.transaction import BYTES_MAX, read

PAYER, PROGRAM, OTHER = (Pubkey(bytes([number] * 32)) for number in (1, 2, 3))
HASH = Hash(bytes([7] * 32))
FINE = CompiledInstruction(1, b"memo", b"\x00")


def encoded(
    keys: Sequence[Pubkey] = (PAYER, PROGRAM),
    instruction: CompiledInstruction = FINE,
    *,
    required: int = 1,
    signatures: int = 1,
    lookups: Sequence[MessageAddressTableLookup] = (),
) -> bytes:
    """A transaction of version 0."""
    message = MessageV0(
        MessageHeader(required, 0, 1), list(keys), HASH, [instruction], list(lookups)
    )
    return bytes(VersionedTransaction.populate(message, [Signature.default()] * signatures))


MALFORMED = {
    "an account twice": (encoded((PAYER, PROGRAM, PROGRAM)), "AccountLoadedTwice"),
    "no signature": (encoded(signatures=0), "SanitizeFailure"),
    "a signature too many": (encoded(signatures=2), "SanitizeFailure"),
    "more signers than accounts": (encoded(required=3, signatures=3), "SanitizeFailure"),
    "an unknown program": (
        encoded(instruction=CompiledInstruction(2, b"", b"")),
        "SanitizeFailure",
    ),
    "an unknown account": (
        encoded(instruction=CompiledInstruction(1, b"", b"\x00\x02")),
        "SanitizeFailure",
    ),
    "a lookup table": (
        encoded(lookups=[MessageAddressTableLookup(OTHER, b"\x00", b"")]),
        "AddressLookupTableNotFound",
    ),
    "a lookup table before an account twice": (
        encoded((PAYER, PAYER), lookups=[MessageAddressTableLookup(OTHER, b"\x00", b"")]),
        "AddressLookupTableNotFound",
    ),
    "an account twice before no signature": (
        encoded((PAYER, PAYER), signatures=0),
        "AccountLoadedTwice",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_transaction_has_the_error_of_a_node(name: str) -> None:
    raw, error = MALFORMED[name]
    with pytest.raises(NotTaken, match=f"^{error}$"):
        read(raw)


def test_a_well_formed_transaction_is_read() -> None:
    transaction, _ = read(encoded((PAYER, PROGRAM)))
    assert transaction.keys == [str(PAYER), str(PROGRAM)]
    assert transaction.writable == [True, False]
    assert [(step.program, step.accounts, step.data) for step in transaction.steps] == [
        (str(PROGRAM), b"\x00", b"memo")
    ]
    assert (transaction.version, transaction.signatures) == (0, 1)


def test_a_legacy_transaction_has_no_version() -> None:
    message = Message.new_with_compiled_instructions(1, 0, 1, [PAYER, PROGRAM], HASH, [FINE])
    transaction, _ = read(bytes(VersionedTransaction.populate(message, [Signature.default()])))
    assert transaction.version is None


def test_a_transaction_above_the_size_of_a_packet_is_invalid() -> None:
    large = encoded(instruction=CompiledInstruction(1, bytes(BYTES_MAX), b""))
    with pytest.raises(ValueError, match="too large"):
        read(large)
