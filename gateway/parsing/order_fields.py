"""The fields of an order request: how each is read, the rule that follows it, its JSON Schema.

Rule of this file: pure. Fields are read in the order of the table, because some depend on others:
`swapMode` decides which token `amount` counts. Faults are reported in this order, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from events.money import Token
from events.order.order_types import DEFAULT_ORDER_TYPE, ORDER_TYPES, OrderType
from gateway.parsing import field_schemas, values
from gateway.parsing.field_reader import FieldReader
from gateway.parsing.field_schemas import Schema

SWAP_MODES = ("exactIn", "exactOut")


class Draft:
    """An order request of which some fields are read."""

    def __init__(self, reader: FieldReader, tokens: Mapping[str, Token], now_us: int) -> None:
        self.reader = reader
        self.tokens = tokens
        self.now_us = now_us
        self.values: dict[str, Any] = dict.fromkeys(FIELDS)
        """By field; None for one that is absent, wrong or not read yet."""

    def read(self) -> None:
        """Reads all fields, and checks the rule of each."""
        reader = self.reader
        for name, read, _, rule, required in ORDER_FIELDS:  # unpacked: on the way of every order
            if name in reader.given:
                self.values[name] = reader.take(name, read, self)
            elif required or name in self.kind.required:
                reader.missing(name)
            if rule is not None:
                rule(self)

    # Cached, so they are asked for only after their field is read.

    @cached_property
    def order_type(self) -> str:
        """The type of the order; a market order where it is absent or wrong."""
        return self.values["type"] or DEFAULT_ORDER_TYPE

    @cached_property
    def kind(self) -> OrderType:
        """The row of the order's type."""
        return ORDER_TYPES[self.order_type]

    @cached_property
    def exact_out(self) -> bool:
        """Whether `amount` fixes the output."""
        mode: str | None = self.values["swapMode"]
        return mode == "exactOut"

    @property
    def amount_token(self) -> Token | None:
        """The token that `amount` counts."""
        token: Token | None = self.values["tokenOut" if self.exact_out else "tokenIn"]
        return token


class OrderField(NamedTuple):
    """One field."""

    name: str
    read: Callable[[msgspec.Raw, Draft], Any]
    schema: Schema | None
    """None where it depends on the type of the order: see `request_schemas`."""
    rule: Callable[[Draft], None] | None = None
    """Checks the field against those before it, and adds faults to the reader."""
    required: bool = False
    """For every type. `OrderType.required` has the others."""


# -- rules -----------------------------------------------------------------------------------------


def _tokens_differ(draft: Draft) -> None:
    token_in, token_out = draft.values["tokenIn"], draft.values["tokenOut"]
    if token_in is not None and token_in is token_out:
        detail = f"{token_in.symbol} cannot be swapped for itself"
        draft.reader.fault("same-token", "tokenOut", detail)


def _bound_of_the_mode(draft: Draft) -> None:
    if draft.exact_out and draft.reader.has("minAmountOut"):
        draft.reader.fault("field-not-allowed", "minAmountOut", "exactOut takes `maxAmountIn`")
    if not draft.exact_out and draft.reader.has("maxAmountIn"):
        draft.reader.fault("field-not-allowed", "maxAmountIn", "it goes with `swapMode` exactOut")


def _fields_of_the_time_in_force(draft: Draft) -> None:
    reader, value = draft.reader, draft.values["timeInForce"]
    if not draft.kind.waits:
        if value and not (reader.has("minAmountOut") or reader.has("maxAmountIn")):
            bound = "minAmountOut` or `maxAmountIn"
            reader.fault("missing-field", "minAmountOut", f"{value} needs `{bound}`")
        return
    if value == "GTT" and not reader.has("expiresAt"):
        reader.fault("missing-field", "expiresAt", "GTT needs `expiresAt`")
    if value == "GTC" and reader.has("expiresAt"):
        reader.fault("field-not-allowed", "expiresAt", "a GTC order does not expire: say GTT")


def _one_price(draft: Draft) -> None:
    if draft.reader.has("minPrice") and draft.reader.has("maxPrice"):
        detail = "`minPrice` is the same bound the other way round: leave one of the two out"
        draft.reader.fault("exclusive-fields", "maxPrice", detail)


def _fields_are_known(draft: Draft) -> None:
    draft.reader.check_names(FIELDS)


def _fields_of_the_type(draft: Draft) -> None:
    if draft.values["type"] is None and draft.reader.has("type"):
        return  # the type itself is wrong
    taken = FIELDS_BY_ORDER_TYPE[draft.order_type]
    for name in draft.reader:
        if name not in taken and name in FIELDS and draft.reader.has(name):
            detail = f"a {draft.order_type} order takes {', '.join(sorted(taken))}"
            draft.reader.fault("field-not-allowed", name, detail)


def _one_bound(draft: Draft) -> None:
    fields = draft.kind.fields
    if "slippageBps" not in fields or not draft.reader.has("slippageBps"):
        return
    for bound in ("minAmountOut", "maxAmountIn"):
        if bound in fields and draft.reader.has(bound):
            detail = f"`{bound}` is a bound already: leave one of the two out"
            draft.reader.fault("exclusive-fields", "slippageBps", detail)


RULES = (_fields_are_known, _fields_of_the_type, _one_bound)
"""The rules of the whole request, checked once all fields are read."""

# -- fields ----------------------------------------------------------------------------------------


def _token(raw: msgspec.Raw, draft: Draft) -> Token:
    return values.as_token(raw, draft.tokens)


def _units_in(raw: msgspec.Raw, draft: Draft) -> int | None:
    return values.as_units(raw, draft.values["tokenIn"])


def _units_out(raw: msgspec.Raw, draft: Draft) -> int | None:
    return values.as_units(raw, draft.values["tokenOut"])


def _price(raw: msgspec.Raw, _: Draft) -> str:
    return values.as_price(raw)


ORDER_FIELDS: tuple[OrderField, ...] = (
    OrderField(
        "type",
        lambda raw, _: values.as_choice(raw, "unsupported-type", ORDER_TYPES),
        None,
    ),
    OrderField(
        "tokenIn",
        _token,
        {
            "type": "string",
            "description": "The symbol or the mint of the token that is given.",
        },
        required=True,
    ),
    OrderField(
        "tokenOut",
        _token,
        {
            "type": "string",
            "description": "The symbol or the mint of the token to buy.",
        },
        _tokens_differ,
        required=True,
    ),
    OrderField(
        "swapMode",
        lambda raw, _: values.as_choice(raw, "unsupported-swap-mode", SWAP_MODES),
        field_schemas.one_of("SwapMode", "Which side `amount` fixes; default: exactIn."),
        _bound_of_the_mode,
    ),
    OrderField(
        "amount",
        lambda raw, draft: values.as_units(raw, draft.amount_token),
        field_schemas.decimal(
            "Whole tokens of tokenIn; of tokenOut with `swapMode` exactOut.", "1.5"
        ),
        required=True,
    ),
    OrderField(
        "maxAmountIn",
        _units_in,
        field_schemas.decimal("exactOut: most whole tokens of tokenIn; instead of `slippageBps`"),
    ),
    OrderField(
        "slippageBps",
        lambda raw, _: values.as_slippage(raw),
        {
            "type": "integer",
            "minimum": 0,
            "maximum": values.SLIPPAGE_MAX_BPS,
            "description": "How far the price may move against the first quote, in basis points;"
            f" default: {ORDER_TYPES[DEFAULT_ORDER_TYPE].slippage_default_bps}.",
        },
    ),
    OrderField(
        "minAmountOut",
        _units_out,
        field_schemas.decimal("Least whole tokens of tokenOut; instead of `slippageBps`"),
    ),
    OrderField(
        "expiresAt", lambda raw, draft: values.as_time(raw, draft.now_us), field_schemas.TIME
    ),
    OrderField(
        "clientOrderId",
        lambda raw, _: values.as_client_order_id(raw),
        field_schemas.text(
            "Your name for it: the same order under it is taken once", field_schemas.KEY
        ),
    ),
    OrderField(
        "targetPrice",
        _price,
        field_schemas.decimal(
            "Least price: whole tokens of tokenOut for one tokenIn, net of fees.", "151.2"
        ),
    ),
    OrderField(
        "minLiquidity",
        _units_in,
        field_schemas.decimal("Least liquidity of the pool, in whole tokens of tokenIn."),
    ),
    OrderField(
        "minPrice",
        _price,
        field_schemas.decimal(
            "Least price: whole tokens of tokenOut for one tokenIn; instead of `maxPrice`", "0.002"
        ),
    ),
    OrderField(
        "maxPrice",
        _price,
        field_schemas.decimal(
            "Highest price, the other way round: whole tokens of tokenIn for one tokenOut;"
            " instead of `minPrice`",
            "500",
        ),
        _one_price,
    ),
    OrderField(
        "timeInForce",
        lambda raw, draft: values.as_choice(
            raw, "unsupported-time-in-force", draft.kind.times_in_force
        ),
        None,
        _fields_of_the_time_in_force,
    ),
)

FIELDS = frozenset(field.name for field in ORDER_FIELDS)
_OF_ONE_TYPE = frozenset(name for kind in ORDER_TYPES.values() for name in kind.fields)
assert _OF_ONE_TYPE <= FIELDS, "every field of a type of order can be read"

FIELDS_BY_ORDER_TYPE = {
    name: (FIELDS - _OF_ONE_TYPE) | frozenset(kind.fields) for name, kind in ORDER_TYPES.items()
}
"""The fields that each type of order takes."""


def required_fields(order_type: str) -> list[str]:
    """The fields that a type of order must have."""
    required = [field.name for field in ORDER_FIELDS if field.required]
    return [*required, *ORDER_TYPES[order_type].required]
