"""A transaction of any version, read from its bytes: legacy, v0 and v1. Pure.

Legacy and v0 begin with the signatures: their number (compact-u16), 64 bytes each, then the
message. A v1 transaction (SIMD-0385) begins with the byte 0x81 and ends with the signatures. The
fee payer is the first address of the message in every version.
"""

from __future__ import annotations

from typing import NamedTuple

from solders.errors import BincodeError, SignerError
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from stages.pools import contract
from stages.venues.solana.transaction.programs import MEMO

AnyMessage = Message | MessageV0 | MessageV1

NEWEST_VERSION = 1
"""The newest version that can be decoded here. No newer one is ever built."""
_VERSIONED = 0x80
_HEADER_BYTES, _KEY_BYTES, _SIGNATURE_BYTES = 3, 32, 64
_V1_KEYS_AT = 1 + _HEADER_BYTES + 4 + 32 + 1 + 1
"""Version, header, config mask, blockhash, number of instructions, number of addresses."""


class Decoded(NamedTuple):
    """A transaction."""

    version: int | None
    """None: legacy."""
    signatures: tuple[str, ...]
    keys: tuple[str, ...]
    """The addresses that the message holds, the fee payer first. Those of lookup tables are not
    among them.
    """
    message: AnyMessage

    @property
    def payer(self) -> str:
        """Who pays the fee; empty where the message names no address."""
        return self.keys[0] if self.keys else ""


def decode(raw: bytes) -> Decoded:
    """Reads a transaction of any known version. Raises ValueError for other bytes."""
    try:
        read = VersionedTransaction.from_bytes(raw)
    except (BincodeError, SignerError) as error:
        raise ValueError(str(error)) from None
    if len(bytes(read)) != len(raw):
        raise ValueError("bytes follow the transaction")
    message = read.message
    return Decoded(
        _VERSIONS[type(message)],
        tuple(map(str, read.signatures)),
        tuple(map(str, message.account_keys)),
        message,
    )


def instructions_of(message: AnyMessage) -> list[contract.Instruction]:
    """The instructions, read back. Raises ValueError where accounts are not in the message."""
    keys = [str(address) for address in message.account_keys]
    header = message.header
    signers = header.num_required_signatures
    writable_signers = signers - header.num_readonly_signed_accounts
    writable_others = len(keys) - header.num_readonly_unsigned_accounts

    def use(at: int) -> contract.AccountUse:
        writable = at < writable_signers or signers <= at < writable_others
        return contract.AccountUse(keys[at], at < signers, writable)

    try:
        return [
            contract.Instruction(
                keys[compiled_instruction.program_id_index],
                tuple(map(use, compiled_instruction.accounts)),
                bytes(compiled_instruction.data),
            )
            for compiled_instruction in message.instructions
        ]
    except IndexError:
        raise ValueError("accounts of a lookup table") from None


def memos_of(message: AnyMessage) -> list[str]:
    """The memos, also beside accounts of lookup tables: a program is never in a lookup table."""
    keys = message.account_keys
    memo = Pubkey.from_string(MEMO)
    return [
        bytes(compiled_instruction.data).decode(errors="replace")
        for compiled_instruction in message.instructions
        if compiled_instruction.program_id_index < len(keys)
        and keys[compiled_instruction.program_id_index] == memo
    ]


def payer_of(raw: bytes) -> str | None:
    """The fee payer of bytes that `decode` refuses, where their version has a known layout. None
    where it has none, or where they end too early.
    """
    at = _V1_KEYS_AT if raw[:1] == b"\x81" else _keys_at(raw)
    if at is None or len(raw) < at + _KEY_BYTES:
        return None
    return str(Pubkey.from_bytes(raw[at : at + _KEY_BYTES]))


def version_of(raw: bytes) -> int | None:
    """The version that the bytes declare; None for legacy and for bytes that are too short."""
    if not raw or raw[0] > _VERSIONED:
        return raw[0] - _VERSIONED if raw else None
    at = _message_at(raw)
    byte = raw[at] if at is not None and at < len(raw) else 0
    return byte - _VERSIONED if byte >= _VERSIONED else None


def is_signed_by(raw: bytes, signature: Signature, key: Pubkey) -> bool:
    """Whether this key signed first in a transaction of an unknown layout: over the bytes before
    the signatures, as in v1, or over those that follow them, as in v0.
    """
    at = raw.find(bytes(signature))
    if at < 0:
        return False
    front = _message_at(raw) if at == 1 else None
    return signature.verify(key, raw[:at] if front is None else raw[front:])


def _message_at(raw: bytes) -> int | None:
    """Where the message of a legacy or v0 transaction begins."""
    length = _compact(raw, 0)
    return None if length is None else length[1] + length[0] * _SIGNATURE_BYTES


def _keys_at(raw: bytes) -> int | None:
    """Where the addresses of a legacy or v0 transaction begin."""
    at = _message_at(raw)
    if at is None or at >= len(raw):
        return None
    if raw[at] > _VERSIONED:  # a version of which the layout is not known
        return None
    length = _compact(raw, at + (raw[at] == _VERSIONED) + _HEADER_BYTES)
    return None if length is None or not length[0] else length[1]


def _compact(raw: bytes, at: int) -> tuple[int, int] | None:
    """A compact-u16 and where it ends. Raises nothing: None where the bytes end too early."""
    value = 0
    for shift in (0, 7, 14):
        if at >= len(raw):
            return None
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < _VERSIONED:
            return value, at
    return None


_VERSIONS: dict[type[AnyMessage], int | None] = {Message: None, MessageV0: 0, MessageV1: 1}
