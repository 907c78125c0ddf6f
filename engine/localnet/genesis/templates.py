"""Account bytes of the test vectors, from which pools are built, and arithmetic of liquidity."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import raw, rent_exempt

Q64 = 1 << 64


@lru_cache(maxsize=1)
def _all() -> Mapping[str, bytes]:
    text = resources.files(__package__).joinpath("templates.json").read_text(encoding="utf-8")
    return {
        name: zlib.decompress(base64.b64decode(data)) for name, data in json.loads(text).items()
    }


def template(name: str) -> bytearray:
    """A copy of a template's bytes."""
    return bytearray(_all()[name])


def account(program: str, data: bytes | bytearray) -> Account:
    """An account of a program that holds exactly its rent."""
    return Account(rent_exempt(len(data)), program, bytes(data))


def put(data: bytearray, at: int, value: int, size: int) -> None:
    """Writes an integer, little endian; negative ones in two's complement."""
    data[at : at + size] = value.to_bytes(size, "little", signed=value < 0)


def put_key(data: bytearray, at: int, address: str) -> None:
    """Writes an address."""
    data[at : at + 32] = raw(address)


def amount_a(liquidity: int, low: int, high: int) -> int:
    """The amount of token a in liquidity between two sqrt prices (Q64.64), rounded up."""
    return -(-liquidity * Q64 * (high - low) // (low * high))


def amount_b(liquidity: int, low: int, high: int) -> int:
    """The amount of token b in liquidity between two sqrt prices (Q64.64), rounded up."""
    return -(-liquidity * (high - low) // Q64)


def liquidity_of_b(amount: int, low: int, high: int) -> int:
    """The liquidity of this amount of token b between two sqrt prices."""
    return amount * Q64 // (high - low)
