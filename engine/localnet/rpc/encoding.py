"""Encodings of bytes in calls and responses: base58, base64, and parsed token data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from engine.localnet.rpc.parameters import INVALID_REQUEST, RpcError, invalid
from engine.localnet.state.accounts import (
    Account,
    decimals_of,
    is_mint,
    is_token_account,
    read_token,
)
from engine.localnet.state.addresses import text
from engine.localnet.state.transaction import BYTES_MAX, V1_BYTES_MAX

U64_MAX = 2**64 - 1
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: number for number, letter in enumerate(_ALPHABET)}
BASE58_BYTES_MAX = 128
TRANSACTION = "solana_transaction::versioned::VersionedTransaction"
"""The type that a node names in errors about a transaction."""
ENCODED_KEPT = 512
"""Entries of account data cached as JSON; those of tick and bin arrays have 13 kB each."""
Mints = Callable[[str], Account | None]


def base58(data: bytes) -> str:
    """Encodes bytes in base58."""
    number, digits = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def from_base58(words: str) -> bytes:
    """Decodes base58. Raises ValueError."""
    number = 0
    for letter in words:
        if letter not in _DIGITS:
            raise ValueError(f"invalid character {letter!r}")
        number = number * 58 + _DIGITS[letter]
    zeros = len(words) - len(words.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def transaction_bytes(words: str, encoding: str) -> bytes:
    """The bytes of a transaction in a call; in base58 at most the size of version 0.

    Raises RpcError.
    """
    bytes_max = V1_BYTES_MAX if encoding == "base64" else BYTES_MAX
    try:
        if encoding == "base64":
            data = base64.b64decode(words, validate=True)
        elif encoding == "base58":
            data = from_base58(words[: 2 * BYTES_MAX])
        else:
            raise invalid(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    except (ValueError, binascii.Error) as error:
        raise invalid(f"invalid {encoding} encoding: {error}") from None
    if len(data) > bytes_max:
        raise invalid(
            f"decoded {TRANSACTION} too large: {len(data)} bytes (max: {bytes_max} bytes)"
        )
    return data


def shown(account: Account | None, config: dict[str, Any], mints: Mints) -> Any:
    """An account as responses show it; null for none."""
    if account is None:
        return None
    return {
        "data": _data(account, config, mints),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": account.owner,
        "rentEpoch": U64_MAX,
        "space": len(account.data),
    }


def _data(account: Account, config: dict[str, Any], mints: Mints) -> Any:
    encoding = config.get("encoding") or "binary"
    if encoding == "jsonParsed":
        parsed = _parsed(account, mints)
        if parsed is not None:
            return {"program": "spl-token", "parsed": parsed, "space": len(account.data)}
        encoding = "base64"
    data = account.data
    part = config.get("dataSlice")
    if part:
        data = data[part["offset"] : part["offset"] + part["length"]]
    if encoding == "base64":
        return _base64(data)
    if encoding not in ("base58", "binary"):
        raise invalid(f"Invalid params: unsupported encoding `{encoding}`.")
    if len(data) > BASE58_BYTES_MAX:
        message = "Encoded binary (base 58) data should be less than 128 bytes, please use Base64"
        raise RpcError(INVALID_REQUEST, f"{message} encoding.")
    return [base58(data), "base58"] if encoding == "base58" else base58(data)


@lru_cache(maxsize=ENCODED_KEPT)
def _base64(data: bytes) -> msgspec.Raw:
    """The JSON of base64 data, cached: every reader of a slot gets the same bytes."""
    return msgspec.Raw(b'["' + base64.b64encode(data) + b'","base64"]')


def _parsed(account: Account, mints: Mints) -> Any:
    if is_mint(account):
        supply = str(int.from_bytes(account.data[36:44], "little"))
        authority = text(account.data[4:36]) if account.data[0] else None
        info: dict[str, Any] = {"decimals": decimals_of(account), "freezeAuthority": None,
                                "isInitialized": True, "mintAuthority": authority,
                                "supply": supply}  # fmt: skip
        return {"info": info, "type": "mint"}
    if not is_token_account(account):
        return None
    token = read_token(account.data)
    info = {
        "isNative": token.native is not None,
        "mint": token.mint,
        "owner": token.owner,
        "state": "frozen" if token.frozen else "initialized",
        "tokenAmount": ui_amount(token.amount, decimals_in(mints, token.mint)),
    }
    if token.native is not None:
        info["rentExemptReserve"] = ui_amount(token.native, 9)
    return {"info": info, "type": "account"}


def decimals_in(mints: Mints, mint: str) -> int:
    """The decimals of a mint; 0 where it does not exist."""
    account = mints(mint)
    return decimals_of(account) if account is not None and is_mint(account) else 0


def ui_amount(amount: int, decimals: int) -> dict[str, Any]:
    """A token amount as a node shows it; `amount` alone is exact."""
    whole, part = divmod(amount, 10**decimals)
    digits = f"{part:0{decimals}d}".rstrip("0") if decimals else ""
    text = f"{whole}.{digits}" if digits else str(whole)
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": float(text),  # the node's own word for humans
        "uiAmountString": text,
    }
