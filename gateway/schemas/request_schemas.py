"""The JSON Schema of each request's body, made from the tables of `order_request`."""

from __future__ import annotations

from typing import Any

from events.order.order_types import ORDER_TYPES
from gateway.parsing import values
from gateway.parsing.order_request import (
    BATCH_ORDERS,
    FIELDS,
    FIELDS_BY_ORDER_TYPE,
    SWAP_MODES,
)
from gateway.parsing.parameters import QUOTE_FIELDS

Schema = dict[str, Any]

_NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"


def _decimal(description: str, example: str = "") -> Schema:
    text = {"type": "string", "pattern": _NUMBER, "maxLength": values.AMOUNT_LENGTH - 2}
    schema: Schema = {"description": description} | ({"examples": [example]} if example else {})
    return {"anyOf": [text, {"type": "number"}]} | schema


def _text(description: str, pattern: str | None = None) -> Schema:
    bounds: Schema = {"minLength": 1, "maxLength": values.TEXT_LENGTH}
    if pattern is not None:
        bounds = {"pattern": pattern}
    return {"type": "string", "description": description} | bounds


_TIME: Schema = {
    "anyOf": [{"type": "string"}, {"type": "integer"}],
    "description": "ISO 8601 with a zone, or Unix milliseconds: not to be sent after this",
}
_KEY = r"^[!-~]{1,128}$"
_ACTOR = _text("Who does it; default: the account")

ORDER_FIELDS: dict[str, Schema] = {
    "tokenIn": {
        "type": "string",
        "description": "Symbol or mint of what is given",
        "examples": ["SOL"],
    },
    "tokenOut": {
        "type": "string",
        "description": "Symbol or mint of what is wanted",
        "examples": ["USDC"],
    },
    "amount": _decimal("Whole tokens of tokenIn; of tokenOut with `swapMode` exactOut", "1.5"),
    "swapMode": {
        "enum": list(SWAP_MODES),
        "default": SWAP_MODES[0],
        "description": "Which side `amount` fixes",
    },
    "slippageBps": {
        "type": "integer",
        "minimum": 0,
        "maximum": values.SLIPPAGE_MAX_BPS,
        "default": ORDER_TYPES["market"].slippage_default_bps,
        "description": "How far the price may move against the first quote",
    },
    "minAmountOut": _decimal("Least whole tokens of tokenOut; instead of `slippageBps`"),
    "maxAmountIn": _decimal("exactOut: most whole tokens of tokenIn; instead of `slippageBps`"),
    "targetPrice": _decimal("Least tokenOut for one tokenIn, net", "151.2"),
    "minLiquidity": _decimal("Least liquidity of the pool, in tokenIn"),
    "maxPrice": _decimal("Most tokenIn for one tokenOut"),
    "expiresAt": _TIME,
    "clientOrderId": _text("Your name for it: the same order under it is taken once", _KEY),
}
"""`type` and `timeInForce` depend on the type."""
assert ORDER_FIELDS.keys() | {"type", "timeInForce"} == FIELDS, "what is parsed is documented"

QUOTE_PARAMETERS: dict[str, Schema] = {name: ORDER_FIELDS[name] for name in QUOTE_FIELDS} | {
    "amount": {"type": "string", "description": ORDER_FIELDS["amount"]["description"]}
}
"""As the fields of an order that have these names."""

_IN_FORCE = {
    "market": "With a bound: filled at once or not at all",
    "limit": "GTC, or GTT with `expiresAt`, which alone means GTT",
    "sniper": "GTC, or GTT with `expiresAt`, which alone means GTT",
}


def _or_null(schema: Schema) -> Schema:
    """Null counts as absent."""
    return {
        "anyOf": [{k: v for k, v in schema.items() if k != "description"}, {"type": "null"}]
    } | {name: schema[name] for name in ("description",) if name in schema}


def _order_of(order_type: str) -> Schema:
    own = ORDER_FIELDS | {
        "timeInForce": {
            "enum": list(ORDER_TYPES[order_type].times_in_force),
            "description": _IN_FORCE[order_type],
        }
    }
    required = ["tokenIn", "tokenOut", "amount", *ORDER_TYPES[order_type].required]
    kind: Schema = {"const": order_type}
    fields = {
        name: own[name] if name in required else _or_null(own[name])
        for name in own
        if name in FIELDS_BY_ORDER_TYPE[order_type]
    }
    others = {name: {"type": "null"} for name in sorted(FIELDS - {"type", *fields})}
    if order_type == "market":
        kind = {"enum": [order_type, None], "default": order_type}
    else:
        required.insert(0, "type")
    return {
        "title": f"A {order_type} order",
        "type": "object",
        "properties": {"type": kind} | fields | others,
        "required": required,
        "additionalProperties": False,
    }


def body_schemas() -> dict[str, Schema]:
    """Every body that is taken, by name."""
    orders = {f"{kind.title()}OrderRequest": _order_of(kind) for kind in FIELDS_BY_ORDER_TYPE}
    schema = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in orders]}
    return orders | {
        "OrderRequest": schema | {"description": "An order; null counts as absent."},
        "BatchRequest": _object(
            {
                "orders": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": BATCH_ORDERS,
                    "items": {},
                    "description": "Each an OrderRequest; those that are none get a problem.",
                }
            },
            ["orders"],
        ),
        "AmendRequest": _object(
            {
                "version": _or_null(
                    {
                        "type": "integer",
                        "minimum": 1,
                        "description": "The order's version, here or in If-Match",
                    }
                ),
                "targetPrice": _or_null(ORDER_FIELDS["targetPrice"]),
                "expiresAt": _or_null(_TIME | {"description": "null takes the expiry away"}),
                "actor": _or_null(_ACTOR),
            },
            [],
        ),
        "HaltRequest": _object({"reason": _text("Why"), "actor": _or_null(_ACTOR)}, ["reason"]),
        "ResumeRequest": _object({"reason": _or_null(_text("Why")), "actor": _or_null(_ACTOR)}, []),
        "ParkedRequest": _object({"reason": _or_null(_text("Why")), "actor": _or_null(_ACTOR)}, []),
        "SettleRequest": _object(
            {
                "signature": _or_null(
                    _text("The transaction, where the order does not name it, or names several")
                ),
                "reason": _or_null(_text("Why")),
                "actor": _or_null(_ACTOR),
            },
            [],
        ),
    }


def _object(fields: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
