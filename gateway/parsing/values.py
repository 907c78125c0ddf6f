"""Reads single raw JSON values exactly. Pure; the clock is an argument. Raises `InvalidField`.

Values are read from the raw text of the body, so that 1.5 and 0.1 are what the client wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from events.money import Token, to_base_units, to_price
from projections.views.formats import LAST_US

SLIPPAGE_MAX_BPS = 5000
AMOUNT_LENGTH = 80
TEXT_LENGTH = 200
"""In characters: the longest reason or actor."""

NUMBER = r"-?\d+(\.\d+)?([eE][+-]?\d+)?"
KEY = "[!-~]{1,128}"
_number = re.compile(NUMBER, re.ASCII)
_key = re.compile(KEY, re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_text = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)


class InvalidField(Exception):
    """An invalid value. `code` is one of `gateway.http.problems.CODES`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def as_choice(raw: msgspec.Raw, code: str, choices: Collection[str]) -> str:
    """One of the choices."""
    word = _text.decode(raw)
    if word not in choices:
        raise InvalidField(code, f"expected one of {', '.join(choices)}")
    return word


def as_token(raw: msgspec.Raw, tokens: Mapping[str, Token]) -> Token:
    """A traded token, by its symbol or its mint address."""
    token = tokens.get(_text.decode(raw))
    if token is None:
        known = dict.fromkeys(token.symbol for token in tokens.values())
        raise InvalidField("unknown-token", f"the tokens are {', '.join(known)}")
    return token


def as_units(raw: msgspec.Raw, token: Token | None) -> int | None:
    """Base units, from whole tokens as a JSON number or string; None where the token is invalid."""
    text = _decimal_text(bytes(raw))
    return None if token is None else to_base_units(text, token.decimals)


def as_price(raw: msgspec.Raw) -> str:
    """A price in canonical form, from a JSON number or string."""
    return to_price(_decimal_text(bytes(raw), "price-malformed"))


def _decimal_text(raw: bytes, malformed: str = "amount-malformed") -> str:
    if raw[:1] in b'{[tf"' and raw[:1] != b'"':
        raise InvalidField("wrong-type", "expected a number or a decimal string")
    if len(raw) > AMOUNT_LENGTH:
        raise InvalidField(malformed, f"more than {AMOUNT_LENGTH} characters")
    text = _text.decode(raw) if raw[:1] == b'"' else raw.decode()
    if not _number.fullmatch(text):
        raise InvalidField(malformed, f"{text!r} is not a decimal number")
    return text


def as_slippage(raw: msgspec.Raw) -> int:
    """A slippage in basis points."""
    bps = _integer.decode(raw)
    if not 0 <= bps <= SLIPPAGE_MAX_BPS:
        raise InvalidField("slippage-out-of-range", f"0 to {SLIPPAGE_MAX_BPS} basis points")
    return bps


def as_time(raw: msgspec.Raw, now_us: int) -> int:
    """A time in µs after `now_us`, from ISO 8601 with a zone or Unix milliseconds."""
    value: Any = msgspec.json.decode(raw)
    if isinstance(value, str):
        time_us = _iso_us(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        time_us = value * 1000
    else:
        raise InvalidField("wrong-type", "expected ISO 8601 with a zone, or Unix milliseconds")
    if time_us <= now_us:
        raise InvalidField("expires-at-past", "the time must be in the future")
    return min(time_us, LAST_US)


def _iso_us(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidField("malformed-time", f"{text[:40]!r} is not ISO 8601") from None
    if time.tzinfo is None:
        raise InvalidField("malformed-time", "the time needs a zone, such as Z or +02:00")
    return (time - _EPOCH) // timedelta(microseconds=1)


def as_client_order_id(raw: msgspec.Raw) -> str:
    """A client order ID."""
    text = _text.decode(raw)
    if not is_key(text):
        detail = "1 to 128 printable ASCII characters, no spaces"
        raise InvalidField("malformed-client-order-id", detail)
    return text


def as_version(raw: msgspec.Raw) -> int:
    """The version of an order."""
    version = _integer.decode(raw)
    if version < 1:
        raise InvalidField("malformed-version", "versions begin at 1")
    return version


def as_text(raw: msgspec.Raw) -> str:
    """A short text for people, such as a reason."""
    text = _text.decode(raw)
    if not is_text(text):
        raise InvalidField("malformed-text", f"1 to {TEXT_LENGTH} printable characters")
    return text


def is_text(text: str) -> bool:
    """Whether a text is printable and fits one line."""
    return 0 < len(text) <= TEXT_LENGTH and text.isprintable() and not text.isspace()


def is_key(text: str) -> bool:
    """Whether a text is a valid idempotency key or client order ID."""
    return _key.fullmatch(text) is not None
