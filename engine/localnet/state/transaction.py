"""A transaction read from its bytes, with its signatures checked: legacy, v0 or v1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from solders.errors import SignerError
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.transaction import SanitizeError, VersionedTransaction

from engine.localnet.state.failures import NotTaken

BYTES_MAX = 1_232
V1_BYTES_MAX = 4_096
AnyMessage = Message | MessageV0 | MessageV1
VERSIONS: dict[type[object], int | None] = {Message: None, MessageV0: 0, MessageV1: 1}
"""None: legacy."""


class Step(NamedTuple):
    """One instruction: indices into the keys of its transaction."""

    program: str
    accounts: bytes
    data: bytes


class Transaction(NamedTuple):
    """A transaction as it is executed."""

    raw: bytes
    signature: str
    signatures: int
    keys: list[str]
    writable: list[bool]
    blockhash: str
    steps: list[Step]
    version: int | None = 0
    config: TransactionConfig | None = None
    """Of version 1: its limits and its priority fee."""


def read(raw: bytes) -> tuple[Transaction, VersionedTransaction]:
    """Reads a transaction; the second value is for `verify`. Raises ValueError, NotTaken."""
    try:
        signed = VersionedTransaction.from_bytes(raw)
    except (ValueError, SignerError) as error:
        raise ValueError(str(error)) from None
    message = signed.message
    version = VERSIONS[type(message)]
    bytes_max = V1_BYTES_MAX if version == 1 else BYTES_MAX
    if len(raw) > bytes_max:
        raise ValueError(f"too large: {len(raw)} bytes (max: {bytes_max} bytes)")
    for is_invalid, error_name in CHECKS:
        if is_invalid(signed, raw):
            raise NotTaken(error_name)
    keys = [str(key) for key in message.account_keys]
    steps = [
        Step(keys[instruction.program_id_index], instruction.accounts, instruction.data)
        for instruction in message.instructions
    ]
    return (
        Transaction(
            raw,
            str(signed.signatures[0]),
            message.header.num_required_signatures,
            keys,
            _writable(message),
            str(message.recent_blockhash),
            steps,
            version,
            message.config if isinstance(message, MessageV1) else None,
        ),
        signed,
    )


def _writable(message: AnyMessage) -> list[bool]:
    header, count = message.header, len(message.account_keys)
    required = header.num_required_signatures
    from_signed = required - header.num_readonly_signed_accounts
    from_rest = count - header.num_readonly_unsigned_accounts
    return [at < from_signed or required <= at < from_rest for at in range(count)]


def _breaks_v1(signed: VersionedTransaction, raw: bytes) -> bool:
    """SIMD-0385: at most 64 addresses, 64 instructions and 12 signatures, no address twice, a heap
    of 32 to 256 KiB, and nothing behind the signatures.
    """
    if not isinstance(signed.message, MessageV1):
        return False
    try:
        signed.sanitize()
    except SanitizeError:
        return True
    return len(bytes(signed)) != len(raw)


def _uses_lookup_tables(signed: VersionedTransaction, _raw: bytes) -> bool:
    """This chain has no lookup tables."""
    message = signed.message
    return isinstance(message, MessageV0) and bool(message.address_table_lookups)


def _names_account_twice(signed: VersionedTransaction, _raw: bytes) -> bool:
    keys = signed.message.account_keys
    return len(set(keys)) != len(keys)


def _miscounts_signatures(signed: VersionedTransaction, _raw: bytes) -> bool:
    count, required = len(signed.signatures), signed.message.header.num_required_signatures
    return not count or count != required or required > len(signed.message.account_keys)


def _names_unknown_account(signed: VersionedTransaction, _raw: bytes) -> bool:
    count = len(signed.message.account_keys)
    return any(
        instruction.program_id_index >= count or max(instruction.accounts, default=0) >= count
        for instruction in signed.message.instructions
    )


CHECKS: Sequence[tuple[Callable[[VersionedTransaction, bytes], bool], str]] = (
    (_breaks_v1, "SanitizeFailure"),
    (_uses_lookup_tables, "AddressLookupTableNotFound"),
    (_names_account_twice, "AccountLoadedTwice"),
    (_miscounts_signatures, "SanitizeFailure"),
    (_names_unknown_account, "SanitizeFailure"),
)
"""What no block takes, and the error of each, in the order of a node."""


def verify(signed: VersionedTransaction) -> bool:
    """Whether every signature is valid."""
    return all(signed.verify_with_results())
