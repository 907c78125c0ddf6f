"""The wallet's key: read once, used to sign, shown never.

Rule of this file: no error, repr or log line holds any part of what was read.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import msgspec
from solders.keypair import Keypair
from solders.message import MessageV0, MessageV1, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature

from events.secret import SecretText

KEY_BYTES = 64
_BASE58 = frozenset("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
_BASE58_MOST = 90
"""Longest base58 text of 64 bytes, and a bit."""


class KeypairError(ValueError):
    """A key that cannot be used; the message names what was expected, never the content."""


class Wallet:
    """Signs for one address."""

    __slots__ = ("_keypair", "address", "pubkey")

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair
        self.pubkey: Pubkey = keypair.pubkey()
        self.address = str(self.pubkey)

    def sign(self, message: MessageV0 | MessageV1) -> Signature:
        """The signature of the message."""
        return self._keypair.sign_message(to_bytes_versioned(message))

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a wallet is never copied out of the process")


def load_wallet(secret_text: SecretText) -> Wallet:
    """The wallet of SOLANA_KEYPAIR: the path of a solana-keygen file, or its JSON array of 64
    numbers, or base58. Raises KeypairError.
    """
    text = secret_text.reveal().strip()
    if not text:
        raise KeypairError("SOLANA_KEYPAIR is not set")
    if text.startswith("["):
        return Wallet(_from_json(text, "SOLANA_KEYPAIR"))
    if len(text) <= _BASE58_MOST and _BASE58.issuperset(text):
        secret = _from_base58(text)
        if secret is not None:
            return Wallet(secret)
    return Wallet(_from_file(Path(text).expanduser()))


def _from_file(path: Path) -> Keypair:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        # Not even the path: a mistyped key would be one.
        message = "SOLANA_KEYPAIR: neither a readable file, nor a JSON array, nor base58 of a key"
        raise KeypairError(message) from None
    return _from_json(text, "the file of SOLANA_KEYPAIR")


def _from_json(text: str, where: str) -> Keypair:
    try:
        return _keypair(bytes(msgspec.json.decode(text, type=list[int])))
    except ValueError:
        message = f"{where}: expected a JSON array of {KEY_BYTES} numbers, as solana-keygen writes"
        raise KeypairError(message) from None


def _from_base58(text: str) -> Keypair | None:
    try:
        return _keypair(bytes(Signature.from_string(text)))  # 64 bytes in base58, as a key is
    except ValueError:
        return None


def _keypair(secret: bytes) -> Keypair:
    """Raises ValueError, also where the two halves are not of one key."""
    if len(secret) != KEY_BYTES:
        raise ValueError("not 64 bytes")
    keypair = Keypair.from_seed(secret[:32])
    if bytes(keypair) != secret:
        raise ValueError("the public half is of another key")
    return keypair
