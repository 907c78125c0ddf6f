"""A transaction read from its bytes, with its signatures checked: legacy, v0 or v1."""

from __future__ import annotations

from typing import NamedTuple

from solders.errors import SignerError
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.transaction import SanitizeError, VersionedTransaction

from engine.localnet.state.failures import NotTaken

BYTES_MAX = 1_232
V1_BYTES_MAX = 4_096
VERSIONS: dict[type[object], int | None] = {Message: None, MessageV0: 0, MessageV1: 1}
"""None: legacy."""


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
    version: int | None = 0
    config: TransactionConfig | None = None
    """Of v1: what it may use and what it pays for that."""


def read(raw: bytes) -> tuple[Transaction, VersionedTransaction]:
    """Read the bytes; the second value is for `verify`. Raises ValueError, NotTaken."""
    try:
        signed = VersionedTransaction.from_bytes(raw)
    except (ValueError, SignerError) as error:
        raise ValueError(str(error)) from None
    message = signed.message
    version = VERSIONS[type(message)]
    most = V1_BYTES_MAX if version == 1 else BYTES_MAX
    if len(raw) > most:
        raise ValueError(f"too large: {len(raw)} bytes (max: {most} bytes)")
    if isinstance(message, MessageV1):
        _check_v1(signed, raw)
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
            raw,
            str(signatures[0]),
            required,
            keys,
            writable,
            str(message.recent_blockhash),
            steps,
            version,
            message.config if isinstance(message, MessageV1) else None,
        ),
        signed,
    )


def _check_v1(signed: VersionedTransaction, raw: bytes) -> None:
    """SIMD-0385: at most 64 addresses, 64 instructions and 12 signatures, no address twice, a heap
    of 32 to 256 KiB, and nothing behind the signatures. Raises NotTaken.
    """
    try:
        signed.sanitize()
    except SanitizeError:
        raise NotTaken("SanitizeFailure") from None
    if len(bytes(signed)) != len(raw):
        raise NotTaken("SanitizeFailure")


def verify(signed: VersionedTransaction) -> bool:
    """Whether every signature is its signer's."""
    return all(signed.verify_with_results())
