"""From JSON to facts: every field of a request, checked, in exact arithmetic.

Rule of this file: pure; the clock is an argument. All faults of a request are reported at once.
Values are taken from the raw text of the body, so that 1.5 and 0.1 are what the client wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from events.money import AmountError, Token, to_base_units
from events.types import OrderSubmitted
from gateway.problems import Fault, Problem, invalid

BATCH_ORDERS = 500
"""As many as one append call takes."""

SLIPPAGE_DEFAULT_BPS = 50
SLIPPAGE_MAX_BPS = 5000
AMOUNT_LENGTH = 80
TYPES = ("market",)

FIELDS = frozenset(
    {
        "type", "tokenIn", "tokenOut", "amount", "slippageBps", "minAmountOut", "expiresAt",
        "clientOrderId",
    }
)  # fmt: skip

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, where ISO 8601 ends

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, pointer: str) -> T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise invalid([Fault("wrong-type", pointer, str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", str(error)) from None
    except RecursionError:
        raise Problem("json-too-deep") from None


def parse_object(body: bytes | msgspec.Raw, pointer: str = "") -> Fields:
    """The fields of a JSON object, still raw. Raises Problem."""
    return _decode(_object, body, pointer)


def parse_batch(body: bytes) -> list[msgspec.Raw]:
    """The orders of a batch, still raw. Raises Problem."""
    fields = parse_object(body)
    faults = [Fault("unknown-field", f"/{_escape(n)}", n) for n in fields if n != "orders"]
    if "orders" not in fields:
        faults.append(Fault("missing-field", "/orders", "`orders` is required"))
    if faults:
        raise invalid(faults)
    orders = _decode(_list, fields["orders"], "/orders")
    if not 1 <= len(orders) <= BATCH_ORDERS:
        detail = f"1 to {BATCH_ORDERS} orders, not {len(orders)}"
        raise invalid([Fault("batch-size", "/orders", detail)])
    return orders


def parse_order(
    fields: Fields, tokens: Mapping[str, Token], *, now_us: int, key: str | None = None
) -> OrderSubmitted:
    """The fact that an order request states. Raises Problem with all its faults."""
    form = _Form(fields)
    order_type = form.take("type", _as_type) or "market"
    token_in = form.take("tokenIn", lambda raw: _as_token(raw, tokens), required=True)
    token_out = form.take("tokenOut", lambda raw: _as_token(raw, tokens), required=True)
    if token_in is not None and token_in is token_out:
        form.fault("same-token", "tokenOut", f"{token_in.symbol} cannot be swapped for itself")
    amount = form.take("amount", lambda raw: _as_units(raw, token_in), required=True)
    slippage = form.take("slippageBps", _as_slippage)
    least = form.take("minAmountOut", lambda raw: _as_units(raw, token_out))
    expires = form.take("expiresAt", lambda raw: _as_time(raw, now_us))
    client_order_id = form.take("clientOrderId", _as_client_order_id)
    form.check_names()
    if form.faults:
        raise invalid(form.faults)
    assert token_in is not None
    assert token_out is not None
    assert amount is not None
    return OrderSubmitted(
        order_type,
        token_in.symbol,
        token_out.symbol,
        token_in.decimals,
        token_out.decimals,
        amount,
        SLIPPAGE_DEFAULT_BPS if slippage is None else slippage,
        least,
        expires,
        client_order_id,
        key,
    )


def parse_key(text: str | None) -> str | None:
    """An Idempotency-Key header. Raises Problem."""
    if text is not None and not _KEY.fullmatch(text):
        raise Problem("malformed-idempotency-key", "1 to 128 printable ASCII characters, no spaces")
    return text


class _Bad(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class _Form:
    """Takes fields and collects what is wrong with them."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self.faults: list[Fault] = []

    def take(
        self, name: str, read: Callable[[msgspec.Raw], T], *, required: bool = False
    ) -> T | None:
        """The field's value; null counts as absent."""
        raw = self._fields.get(name)
        if raw is None or bytes(raw) == b"null":
            if required:
                self.fault("missing-field", name, f"`{name}` is required")
            return None
        try:
            return read(raw)
        except _Bad as bad:
            self.fault(bad.code, name, bad.detail)
        except AmountError as error:
            self.fault(error.code, name, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fault("wrong-type", name, str(error))
        return None

    def fault(self, code: str, name: str, detail: str) -> None:
        self.faults.append(Fault(code, f"/{_escape(name)}", detail))

    def check_names(self) -> None:
        if not self._fields.keys() <= FIELDS:
            for name in self._fields.keys() - FIELDS:
                self.fault("unknown-field", name[:100], f"the fields are {', '.join(_sorted())}")


def _sorted() -> list[str]:
    return sorted(FIELDS)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _as_type(raw: msgspec.Raw) -> str:
    kind = _text.decode(raw)
    if kind not in TYPES:
        raise _Bad("unsupported-type", f"the types are {', '.join(TYPES)}")
    return kind


def _as_token(raw: msgspec.Raw, tokens: Mapping[str, Token]) -> Token:
    symbol = _text.decode(raw)
    token = tokens.get(symbol)
    if token is None:
        raise _Bad("unknown-token", f"the tokens are {', '.join(tokens)}")
    return token


def _as_units(raw: msgspec.Raw, token: Token | None) -> int | None:
    """A JSON number or a string, in whole tokens; None where the token itself is at fault."""
    text = _decimal_text(bytes(raw))
    return None if token is None else to_base_units(text, token.decimals)


def _decimal_text(raw: bytes) -> str:
    if raw[:1] in b'{[tf"' and raw[:1] != b'"':
        raise _Bad("wrong-type", "expected a number or a decimal string")
    if len(raw) > AMOUNT_LENGTH:
        raise _Bad("amount-malformed", f"more than {AMOUNT_LENGTH} characters")
    text = _text.decode(raw) if raw[:1] == b'"' else raw.decode()
    if not _NUMBER.fullmatch(text):
        raise _Bad("amount-malformed", f"{text!r} is not a decimal number")
    return text


def _as_slippage(raw: msgspec.Raw) -> int:
    bps = _integer.decode(raw)
    if not 0 <= bps <= SLIPPAGE_MAX_BPS:
        raise _Bad("slippage-out-of-range", f"0 to {SLIPPAGE_MAX_BPS} basis points")
    return bps


def _as_time(raw: msgspec.Raw, now_us: int) -> int:
    """ISO 8601 with a zone, or Unix milliseconds."""
    value: Any = msgspec.json.decode(raw)
    if isinstance(value, str):
        time_us = _iso_us(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        time_us = min(max(value, 0), _LAST_MS) * 1000
    else:
        raise _Bad("wrong-type", "expected ISO 8601 with a zone, or Unix milliseconds")
    if time_us <= now_us:
        raise _Bad("expires-at-past", "the time must be in the future")
    return time_us


def _iso_us(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _Bad("malformed-time", f"{text[:40]!r} is not ISO 8601") from None
    if time.tzinfo is None:
        raise _Bad("malformed-time", "the time needs a zone, such as Z or +02:00")
    return (time - _EPOCH) // timedelta(microseconds=1)


def _as_client_order_id(raw: msgspec.Raw) -> str:
    text = _text.decode(raw)
    if not _KEY.fullmatch(text):
        detail = "1 to 128 printable ASCII characters, no spaces"
        raise _Bad("malformed-client-order-id", detail)
    return text
