"""A transaction read from its bytes, with its signatures checked."""

from __future__ import annotations

from typing import NamedTuple

from solders.errors import SignerError
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from stages.venues.localnet.failures import NotTaken

BYTES_MAX = 1_232


class Step(NamedTuple):
    """One instruction: indices into the keys of its transaction."""

    program: str
    accounts: bytes
    data: bytes


class Transaction(NamedTuple):
    """What executing needs."""

    raw: bytes
    signature: str
    signatures: int
    keys: list[str]
    writable: list[bool]
    blockhash: str
    steps: list[Step]


def read(raw: bytes) -> tuple[Transaction, VersionedTransaction]:
    """Read the bytes; the second value is for `verify`. Raises ValueError, NotTaken."""
    try:
        signed = VersionedTransaction.from_bytes(raw)
    except (ValueError, SignerError) as error:
        raise ValueError(str(error)) from None
    message = signed.message
    if isinstance(message, MessageV0) and message.address_table_lookups:
        # This chain has no lookup tables.
        raise NotTaken("AddressLookupTableNotFound")
    header = message.header
    keys = [str(key) for key in message.account_keys]
    count, required = len(keys), header.num_required_signatures
    if len(set(keys)) != count:
        raise NotTaken("AccountLoadedTwice")
    signatures = signed.signatures
    if not signatures or len(signatures) != required or required > count:
        raise NotTaken("SanitizeFailure")
    from_signed = required - header.num_readonly_signed_accounts
    from_rest = count - header.num_readonly_unsigned_accounts
    writable = [at < from_signed or required <= at < from_rest for at in range(count)]
    steps = []
    for each in message.instructions:
        accounts = each.accounts
        if each.program_id_index >= count or (accounts and max(accounts) >= count):
            raise NotTaken("SanitizeFailure")
        steps.append(Step(keys[each.program_id_index], accounts, each.data))
    return (
        Transaction(
            raw, str(signatures[0]), required, keys, writable, str(message.recent_blockhash), steps
        ),
        signed,
    )


def verify(signed: VersionedTransaction) -> bool:
    """Whether every signature is its signer's."""
    return all(signed.verify_with_results())
