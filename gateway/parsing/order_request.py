"""From JSON to facts and acts: the fields of a request, checked.

Rule of this file: pure; the clock is an argument. All faults of a request are reported at once.
Which fields an order may have is a table by its type.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Set
from typing import NamedTuple, TypeVar

import msgspec

from events.commands.orders import NEVER
from events.money import AmountError, Token
from events.order.order_types import ORDER_TYPES
from events.types import OrderSubmitted
from gateway.http.problems import FieldError, Problem, invalid
from gateway.parsing import values

IDEMPOTENCY_KEY = "Idempotency-Key"

FIELDS_MAX = 100
"""Of an object: several times what any has. Each unknown one is a fault of its own."""
BATCH_ORDERS = 500
"""As many as one append call takes."""

_COMMON = ("type", "tokenIn", "tokenOut", "amount", "timeInForce", "expiresAt", "clientOrderId")
FIELDS_BY_ORDER_TYPE = {
    name: frozenset({*_COMMON, *kind.fields}) for name, kind in ORDER_TYPES.items()
}
"""The fields that each type of order takes."""

FIELDS = frozenset[str]().union(*FIELDS_BY_ORDER_TYPE.values())
SWAP_MODES = ("exactIn", "exactOut")

_IF_MATCH = re.compile(r'"?(\d{1,9})"?', re.ASCII)

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class Amendment(NamedTuple):
    """What shall change of an order; None leaves a term as it is, `acts.NEVER` ends an expiry."""

    version: int
    target_price: str | None
    expires_at_us: int | None
    actor: str | None


class Switch(NamedTuple):
    """Why the engine is halted or resumed, and by whom."""

    reason: str
    actor: str | None


class ParkedAct(NamedTuple):
    """What is to be done about a parked order, and by whom."""

    reason: str
    actor: str | None
    signature: str = ""


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, pointer: str) -> T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise invalid([FieldError("wrong-type", pointer, str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", str(error)) from None
    except RecursionError:
        raise Problem("json-too-deep") from None


def parse_object(body: bytes | msgspec.Raw, pointer: str = "") -> Fields:
    """The fields of a JSON object, still raw. Raises Problem."""
    fields = _decode(_object, body, pointer)
    if len(fields) > FIELDS_MAX:
        raise Problem("too-many-fields", f"{len(fields)} fields; nothing here has {FIELDS_MAX}")
    text = bytes(body)
    if text.count(b":") > len(fields):  # only then can a field stand there twice
        _check_once(text, pointer)
    return fields


def _check_once(body: bytes, pointer: str) -> None:
    """Which of two amounts was meant, nobody can tell."""
    try:
        names = Counter(name for name, _ in json.loads(body, object_pairs_hook=list))
    except (ValueError, RecursionError) as error:  # bytes that are no text, numbers without end
        raise Problem("malformed-json", str(error)[:200]) from None
    twice = sorted(name for name, times in names.items() if times > 1)[:FIELDS_MAX]
    if twice:
        detail = "the field stands there more than once"
        raise invalid(
            [FieldError("duplicate-field", f"{pointer}/{_escape(n)}", detail) for n in twice]
        )


def parse_batch(body: bytes) -> list[msgspec.Raw]:
    """The orders of a batch, still raw. Raises Problem."""
    fields = parse_object(body)
    faults = [FieldError("unknown-field", f"/{_escape(n)}", n) for n in fields if n != "orders"]
    if "orders" not in fields:
        faults.append(FieldError("missing-field", "/orders", "`orders` is required"))
    if faults:
        raise invalid(faults)
    orders = _decode(_list, fields["orders"], "/orders")
    if not 1 <= len(orders) <= BATCH_ORDERS:
        detail = f"1 to {BATCH_ORDERS} orders, not {len(orders)}"
        raise invalid([FieldError("batch-size", "/orders", detail)])
    return orders


def parse_order(
    fields: Fields, tokens: Mapping[str, Token], *, now_us: int, key: str | None = None
) -> OrderSubmitted:
    """The fact that an order request states. Raises Problem with all its faults."""
    form = _FieldReader(fields)
    given_type = form.take("type", values.as_choice, "unsupported-type", FIELDS_BY_ORDER_TYPE)
    order_type = given_type or "market"
    kind = ORDER_TYPES[order_type]
    token_in = form.take("tokenIn", values.as_token, tokens, required=True)
    token_out = form.take("tokenOut", values.as_token, tokens, required=True)
    if token_in is not None and token_in is token_out:
        form.fault("same-token", "tokenOut", f"{token_in.symbol} cannot be swapped for itself")
    exact_out = _exact_out(form)
    of = token_out if exact_out else token_in
    amount = form.take("amount", values.as_units, of, required=True)
    most = form.take("maxAmountIn", values.as_units, token_in)
    slippage = form.take("slippageBps", values.as_slippage)
    least = form.take("minAmountOut", values.as_units, token_out)
    expires = form.take("expiresAt", values.as_time, now_us)
    client_order_id = form.take("clientOrderId", values.as_client_order_id)
    target = form.take("targetPrice", values.as_price, required="targetPrice" in kind.required)
    liquidity = form.take("minLiquidity", values.as_units, token_in)
    highest = form.take("maxPrice", values.as_price)
    in_force = _time_in_force(form, order_type)
    form.check_names(FIELDS)
    if given_type is not None or not form.has("type"):  # of a type that there is
        form.check_taken(order_type)
    if order_type == "market" and form.has("slippageBps"):
        for bound in ("minAmountOut", "maxAmountIn"):
            if form.has(bound):
                detail = f"`{bound}` is a bound already: leave one of the two out"
                form.fault("exclusive-fields", "slippageBps", detail)
    form.check()
    assert token_in is not None
    assert token_out is not None
    assert amount is not None
    return OrderSubmitted(
        order_type,
        token_in.symbol,
        token_out.symbol,
        token_in.decimals,
        token_out.decimals,
        0 if exact_out else amount,
        kind.slippage_default_bps if slippage is None else slippage,
        least,
        expires,
        client_order_id,
        key,
        target or "",
        in_force,
        liquidity,
        highest or "",
        amount if exact_out else None,
        most,
    )


def _exact_out(form: _FieldReader) -> bool:
    """Whether `amount` is what shall come out; each mode has its own bound."""
    mode = form.take("swapMode", values.as_choice, "unsupported-swap-mode", SWAP_MODES)
    if mode == "exactOut" and form.has("minAmountOut"):
        form.fault("field-not-allowed", "minAmountOut", "exactOut takes `maxAmountIn`")
    if mode != "exactOut" and form.has("maxAmountIn"):
        form.fault("field-not-allowed", "maxAmountIn", "it goes with `swapMode` exactOut")
    return mode == "exactOut"


def _time_in_force(form: _FieldReader, order_type: str) -> str:
    """As it stands in the fact: empty for a market order that may be tried again."""
    choices = ORDER_TYPES[order_type].times_in_force
    value = form.take("timeInForce", values.as_choice, "unsupported-time-in-force", choices)
    if order_type == "market":
        if value and not (form.has("minAmountOut") or form.has("maxAmountIn")):
            bound = "minAmountOut` or `maxAmountIn"
            form.fault("missing-field", "minAmountOut", f"{value} needs `{bound}`")
        return value or ""
    if value == "GTT" and not form.has("expiresAt"):
        form.fault("missing-field", "expiresAt", "GTT needs `expiresAt`")
    if value == "GTC" and form.has("expiresAt"):
        form.fault("field-not-allowed", "expiresAt", "a GTC order does not expire: say GTT")
    return value or ("GTT" if form.has("expiresAt") else "GTC")


def parse_amendment(body: bytes, if_match: str | None, *, now_us: int) -> Amendment:
    """The terms of a PATCH. The version stands in the body or in If-Match. Raises Problem."""
    form = _FieldReader(parse_object(body))
    matched = _version_of(if_match)
    version = form.take("version", values.as_version, required=matched is None)
    if version is not None and matched not in (None, version):
        form.fault("malformed-version", "version", "If-Match says another version")
    price = form.take("targetPrice", values.as_price)
    expires = form.take("expiresAt", values.as_time, now_us)
    if form.is_null("expiresAt"):
        expires = NEVER
    actor = form.take("actor", values.as_text)
    if not (form.has("targetPrice") or form.has("expiresAt") or form.is_null("expiresAt")):
        form.fault("missing-field", "targetPrice", "`targetPrice` or `expiresAt` is required")
    form.check_names({"version", "targetPrice", "expiresAt", "actor"})
    form.check()
    return Amendment(version or matched or 0, price, expires, actor)


def _version_of(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    match = _IF_MATCH.fullmatch(if_match.strip())
    if match is None:
        raise Problem("malformed-version", "If-Match: the version as a number")
    return int(match[1])


def parse_switch(body: bytes, *, reason_required: bool) -> Switch:
    """The body of a halt or resume. Raises Problem."""
    form = _FieldReader(parse_object(body))
    reason = form.take("reason", values.as_text, required=reason_required)
    actor = form.take("actor", values.as_text)
    form.check_names({"reason", "actor"})
    form.check()
    return Switch(reason or "", actor)


def parse_parked(body: bytes, *, signature: bool) -> ParkedAct:
    """The body of what is done about a parked order. Raises Problem."""
    form = _FieldReader(parse_object(body))
    names = ("reason", "actor", *(("signature",) if signature else ()))
    texts = {name: form.take(name, values.as_text) for name in names}
    form.check_names(set(names))
    form.check()
    return ParkedAct(texts["reason"] or "", texts["actor"], texts.get("signature") or "")


def parse_key(text: str | None) -> str | None:
    """An Idempotency-Key header. Raises Problem."""
    if text is not None and not values.is_key(text):
        raise Problem("malformed-idempotency-key", "1 to 128 printable ASCII characters, no spaces")
    return text


class _FieldReader:
    """Takes fields and collects what is wrong with them."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._given = {name: raw for name, raw in fields.items() if bytes(raw) != b"null"}
        self.faults: list[FieldError] = []

    def take(
        self, name: str, read: Callable[..., T], *given: object, required: bool = False
    ) -> T | None:
        """The field's value, read with what is `given`; null counts as absent."""
        raw = self._given.get(name)
        if raw is None:
            if required:
                self.fault("missing-field", name, f"`{name}` is required")
            return None
        try:
            return read(raw, *given)
        except values.InvalidField as bad:
            self.fault(bad.code, name, bad.detail)
        except AmountError as error:
            self.fault(error.code, name, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fault("wrong-type", name, str(error))
        return None

    def fault(self, code: str, name: str, detail: str) -> None:
        self.faults.append(FieldError(code, f"/{_escape(name)}", detail))

    def has(self, name: str) -> bool:
        """Whether something was said, be it right or wrong."""
        return name in self._given

    def is_null(self, name: str) -> bool:
        """Whether nothing was said on purpose."""
        return name in self._fields and name not in self._given

    def check_names(self, known: Set[str]) -> None:
        if self._fields.keys() <= known:
            return
        for name in self._fields:
            if name not in known:
                detail = f"the fields are {', '.join(sorted(known))}"
                self.fault("unknown-field", name[:100], detail)

    def check_taken(self, order_type: str) -> None:
        """Refuses fields of other types of orders."""
        taken = FIELDS_BY_ORDER_TYPE[order_type]
        if self._fields.keys() <= taken:
            return
        for name in self._fields:
            if name not in taken and name in FIELDS and self.has(name):
                detail = f"a {order_type} order takes {', '.join(sorted(taken))}"
                self.fault("field-not-allowed", name, detail)

    def check(self) -> None:
        if self.faults:
            raise invalid(self.faults)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
